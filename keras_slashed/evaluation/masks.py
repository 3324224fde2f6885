"""The masks that Keras keeps with the outputs of layers."""

import keras
from keras import ops


def mask_of(x):
    """Return the mask that Keras keeps with a tensor, or None.

    A layer attaches the mask to the object that it returns. The result of an operation of
    `keras.ops`, and a tensor that a compiled function returned, have none.
    """
    return _MaskReader().of(x) if ops.is_tensor(x) else None


def with_mask(x, mask):
    """Return a tensor with which Keras keeps a mask, or the tensor itself for None."""
    return x if mask is None else _Masked(mask)(x)


class _Untyped(keras.layers.Layer):
    def __init__(self):
        # TensorFlow allows no name with a leading underscore, which that of the class would give.
        super().__init__(name="mask", autocast=False)
        self.supports_masking = True


class _MaskReader(_Untyped):
    """Reads the mask that Keras keeps with a tensor."""

    def of(self, x):
        self._mask = None
        self(x)
        return self._mask

    def call(self, x, mask=None):
        self._mask = mask
        return x


class _Masked(_Untyped):
    """Attaches a mask to a tensor."""

    def __init__(self, mask):
        super().__init__()
        self._mask = mask

    def call(self, x):
        return x

    def compute_mask(self, x, previous_mask):
        return self._mask
