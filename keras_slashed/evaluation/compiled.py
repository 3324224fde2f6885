"""A function of tensors, compiled by Keras itself, so that it works on every backend."""

import keras


class Compiled(keras.Model):
    """A function of one argument (a tensor or a nested structure of tensors) for NumPy arrays.

    `predict_on_batch` runs it in the same way as `keras.Model.predict` runs a model: compiled if
    the backend supports that, without gradients, and in inference mode.

    Args:
        function: Callable. It takes the argument, and returns a tensor or a nested structure of
            tensors.
        parts: List or tuple of objects that the function calls. The variables of layers, models,
            their methods and seed generators in it become variables of this model. On JAX the
            variables of other objects are constants of the compiled function.
    """

    def __init__(self, function, parts=()):
        # Cast data as a Keras model does, but at least to float32.
        super().__init__(dtype="float64" if keras.config.floatx() == "float64" else "float32")
        self.function = function
        parts = [getattr(part, "__self__", part) for part in parts]
        self.supports_jit = all(layer.supports_jit for layer in _layers(parts))
        self.parts = [_variables(part) for part in parts]
        self.built = True

    def call(self, inputs, training=None):
        return self.function(inputs)


def _variables(part):
    """Return the variables of a part, or the part itself, which Keras then builds.

    A model whose own `call` is never used is never built, although its layers are. Keras on JAX
    would try to build such a model before each batch, without compilation.
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
