"""What differs between backends: compilation, gradients, float64, threads and batches."""

import contextlib
import os

import keras


def for_fit(batches):
    """Return batches in the form that `fit` should get: on TensorFlow a `tf.data.Dataset`.

    On TensorFlow, Keras itself turns a `PyDataset` into a dataset, but tf.data autotunes that
    one while it runs. The thread that does so sleeps for 10 ms and then twice as long each
    time, up to a minute, and sometimes the end of an iterator waits until it wakes. With
    TensorFlow 2.21, five of eight calls of `fit` that compute for 6.4 s took 10.2 s. The
    returned dataset is not autotuned.

    Args:
        batches: `keras.utils.PyDataset` of tuples of arrays. The number of batches, the dtypes
            and the numbers of axes must not change. It shuffles itself in `set_epoch` or
            `on_epoch_begin`, so call `fit` with `shuffle=False`.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    def epoch():
        batches.on_epoch_begin()
        for index in range(len(batches)):
            yield batches[index]
        batches.on_epoch_end()

    signature = tuple(tf.TensorSpec([None] * x.ndim, x.dtype) for x in batches[0])
    dataset = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(1).with_options(options)


def processors():
    """Return the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def threads():
    """Return the number of threads that the framework may use on a CPU."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.get_num_threads()
    told = os.environ.get("TF_NUM_INTRAOP_THREADS") if backend == "tensorflow" else None
    return int(told or 0) or processors()


def float64_enabled():
    """Return a context in which float64 tensors exist, since JAX disables them by default."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def compile_with_state(function, variables):
    """Compile a function of tensors that reads and writes Keras variables.

    Args:
        function: Function of tensors that returns a tensor. It may call models.
        variables: List of all variables that it reads or writes, including the states of
            seed generators.

    Returns:
        Function of the same arguments. On PyTorch it runs eagerly.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if backend == "torch":
        import torch

        return torch.no_grad()(function)
    import jax

    @jax.jit
    def pure(values, *arguments):
        with keras.StatelessScope(state_mapping=zip(variables, values)) as scope:
            result = function(*arguments)
        return result, [scope.get_current_value(variable) for variable in variables]

    def call(*arguments):
        result, values = pure([variable.value for variable in variables], *arguments)
        for variable, value in zip(variables, values):
            variable.assign(value)
        return result

    return call


def input_gradient(function, x):
    """Return the gradient of `function(x)[0]` at x, and `function(x)[1]`.

    Args:
        function: Function of a tensor that returns a scalar and a structure of tensors.
        x: Tensor. Where to compute the gradient.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.grad(function, has_aux=True)(x)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y, auxiliary = function(x)
        return tape.gradient(y, x, unconnected_gradients="zero"), auxiliary
    import torch

    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y, auxiliary = function(x)
        (gradient,) = torch.autograd.grad(y, x, materialize_grads=True)
    return gradient, keras.tree.map_structure(torch.Tensor.detach, auxiliary)
