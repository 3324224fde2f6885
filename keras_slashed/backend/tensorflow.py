"""Custom derivatives and fused kernels on TensorFlow."""

import contextlib
import functools

import tensorflow as tf

from keras_slashed.config import is_kernel_compilation_enabled


def with_derivative(function, derivative):
    """Give an elementwise function its derivative.

    The backward rule is made of differentiable operations, so tapes nest.
    """
    fused = _fused(function)

    def differentiable(x, *others):
        @tf.custom_gradient
        def of_x(x):
            inputs = (x, *others)
            if tf.executing_eagerly():
                # Else a tape would keep what the function computes on its way, and
                # `tf.autodiff.ForwardAccumulator` would differentiate that instead,
                # as it does in graph mode, where it knows no custom gradient.
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
    """A context for writing a SavedModel: derivatives have no custom derivative of their own.

    TensorFlow saves custom derivatives of the first order alone. A model that it loads then
    has no second order at all, and fails under a nested or persistent tape. In this context
    the second order is that of the operations that the first consists of.
    """
    _Saving.now = True
    try:
        yield
    finally:
        _Saving.now = False


def _fused(function):
    """Return the function as one XLA kernel, in eager and in graph mode.

    `jit_scope` rather than `jit_compile`: it is a wish, which a runtime without XLA
    may ignore (that of an exported model, say), and after too many different shapes
    TensorFlow itself goes back to single operations.
    """

    def clustered(*inputs):
        if tf.executing_eagerly() or not is_kernel_compilation_enabled():
            return function(*inputs)
        with tf.xla.experimental.jit_scope():
            return function(*inputs)

    @functools.cache
    def graph(*dtypes):
        # Of any shape: traced once, without TensorFlow's warnings of retracing.
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
