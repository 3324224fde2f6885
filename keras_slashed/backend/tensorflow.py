"""Custom derivatives and fused kernels on TensorFlow."""

import contextlib
import functools

import tensorflow as tf

from keras_slashed.config import is_kernel_compilation_enabled


def with_derivative(function, derivative):
    """Define the derivative of an elementwise function.

    The backward pass consists of differentiable operations, so that gradient tapes nest.
    """
    fused = _fused(function)

    def differentiable(x, *others):
        @tf.custom_gradient
        def of_x(x):
            inputs = (x, *others)
            if tf.executing_eagerly():
                # Otherwise a tape would keep the intermediate results of the function, and
                # `tf.autodiff.ForwardAccumulator` would differentiate these. In graph mode it
                # does so in any case, since it ignores custom gradients there.
                inputs = tuple(tf.stop_gradient(value) for value in inputs)
            y = fused(*inputs)
            return y, lambda upstream: upstream * slope(x, *others, y)

        return of_x(tf.convert_to_tensor(x))

    def slope(*inputs_and_y):
        if _Saving.now:
            return getattr(derivative, "function", derivative)(*inputs_and_y)
        return derivative(*inputs_and_y)

    differentiable.function = fused
    return differentiable


class _Saving:
    now = False


@contextlib.contextmanager
def saving():
    """A context for writing a SavedModel, without custom derivatives of second and higher order.

    TensorFlow saves only custom derivatives of the first order. Otherwise a loaded model would
    have no second derivative, and would fail under a nested or persistent tape. In this context
    the second derivative is that of the operations of the first one.
    """
    _Saving.now = True
    try:
        yield
    finally:
        _Saving.now = False


def _fused(function):
    """Return the function as one XLA kernel, in eager mode and in graph mode.

    It uses `jit_scope` instead of `jit_compile`. A runtime without XLA may ignore the scope, for
    example that of an exported model. After too many different shapes, TensorFlow itself returns
    to single operations.
    """

    def clustered(*inputs):
        if tf.executing_eagerly() or not is_kernel_compilation_enabled():
            return function(*inputs)
        with tf.xla.experimental.jit_scope():
            return function(*inputs)

    @functools.cache
    def graph(*dtypes):
        # A signature of any shape is traced once, without retracing warnings of TensorFlow.
        signature = [tf.TensorSpec(None, dtype) for dtype in dtypes]
        return tf.function(clustered, input_signature=signature, autograph=False)

    def fused(*inputs):
        if tf.executing_eagerly() and is_kernel_compilation_enabled():
            return graph(*(x.dtype for x in inputs))(*inputs)
        return clustered(*inputs)

    return fused


def input_gradient(function, x):
    """Return the gradient of `function(x)[0]` at x, and `function(x)[1]`."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y, auxiliary = function(x)
    return tape.gradient(y, x, unconnected_gradients="zero"), auxiliary
