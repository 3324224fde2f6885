"""A function of tensors, compiled by Keras' own engine, as every backend has one."""

import keras


class Compiled(keras.Model):
    """A function of one argument, a tensor or a nested structure of them, for NumPy arrays.

    Calling `predict_on_batch` runs it as `keras.Model.predict` would run a model:
    under jit where the backend has that, without gradients, at inference.

    Args:
        function: From the argument to a tensor or a nested structure of tensors.
        parts: What the function calls. The variables of layers, models, methods of
            theirs and seed generators among it are variables of this model; on JAX
            those of others are constants of the compiled function.
    """

    def __init__(self, function, parts=()):
        # Data are cast as a Keras model would cast them, but to no less than float32.
        super().__init__(dtype="float64" if keras.config.floatx() == "float64" else "float32")
        self.function = function
        parts = [getattr(part, "__self__", part) for part in parts]
        self.supports_jit = all(layer.supports_jit for layer in _layers(parts))
        self.parts = [_variables(part) for part in parts]
        self.built = True

    def call(self, inputs, training=None):
        return self.function(inputs)


def _variables(part):
    """Return the variables of a part, or the part, for Keras to build it.

    A model whose own `call` is never used is never built, though its layers are:
    Keras on JAX would try to build it before each batch, uncompiled.
    """
    leaves = [layer for layer in _layers([part]) if not _layers([layer])[1:]]
    return part.variables if leaves and all(leaf.built for leaf in leaves) else part


def _layers(parts):
    return [
        layer
        for part in parts
        if isinstance(part, keras.layers.Layer)
        for layer in part._flatten_layers()
    ]
