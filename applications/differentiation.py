"""Gradients with respect to inputs, and compiled functions, on each backend."""

import keras


def input_gradient(function, x):
    """Return the gradient of the scalar `function(x)` at the tensor x."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)
    import torch

    x = x.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(function(x), x)[0]


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
