"""Compiled functions that read and write Keras variables, on each backend."""

import keras


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
