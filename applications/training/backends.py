"""What the experiments need of each backend: compilation, gradients, float64, threads, batches."""

import contextlib
import os

import keras


def for_fit(batches):
    """Return batches as `fit` is to get them: on TensorFlow as a `tf.data.Dataset`.

    Keras makes one of a `PyDataset` there too, but one that tf.data tunes as it runs, by a
    thread that sleeps for 10 ms and then twice as long each time, up to a minute. Now and
    then the end of an iterator waits until that thread wakes: with TensorFlow 2.21, of eight
    calls of `fit` that compute for 6.4 s five took 10.2 s. What is returned is not tuned.

    Args:
        batches: A `keras.utils.PyDataset` of tuples of arrays, whose number of batches does
            not change, nor the arrays' dtypes and numbers of axes. It shuffles itself, in
            `set_epoch` or `on_epoch_begin`, and `fit` is told `shuffle=False`.
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
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def threads():
    """Return how many threads the framework may compute on, on a CPU."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.get_num_threads()
    told = os.environ.get("TF_NUM_INTRAOP_THREADS") if backend == "tensorflow" else None
    return int(told or 0) or processors()


def float64_enabled():
    """Return a context in which float64 tensors can be made: on JAX they are off."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def compile_with_state(function, variables):
    """Compile a function of tensors that reads and writes Keras variables.

    Args:
        function: Takes tensors, returns a tensor. It may call models.
        variables: All variables it touches, seeds of random numbers included.

    Returns:
        A function of the same arguments. On PyTorch it runs eagerly.
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
        function: From a tensor to a scalar and a structure of tensors.
        x: Tensor.
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
