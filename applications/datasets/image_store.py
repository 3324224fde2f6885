"""ImageStore: a data set on the device, whose images are looked up by their index."""

import keras
import numpy as np
from keras import ops


class ImageStore(keras.layers.Layer):
    """Keep images on the device, and turn a batch of indices into a batch of images.

    With this layer, a training step receives only integers. Each pixel takes one byte. A table
    of 256 floats maps bytes to exactly the floats that were given, while arithmetic in a
    compiled graph might round differently. The images are weights that are not saved to weight
    files.

    Args:
        images: NumPy array of floats in [-1, 1], with at most 256 different values.
        **kwargs: Base layer keyword arguments, such as `name`.

    Call arguments:
        indices: Integer tensor of shape `(batch,)`.

    Output shape:
        `(batch, *images.shape[1:])`, float32.

    Raises:
        ValueError: If 256 levels cannot represent the images.
    """

    def __init__(self, images, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self._codes, self._levels = encode(images)

    def build(self, indices_shape):
        self.codes = self._add_constant("codes", self._codes)
        self.levels = self._add_constant("levels", self._levels)
        self._image_shape = self._codes.shape[1:]
        self._codes = self._levels = None

    def _add_constant(self, name, values):
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype=dtype),
            dtype=values.dtype.name,
            trainable=False,
            autocast=False,
            name=name,
        )

    def call(self, indices):
        codes = ops.take(self.codes, indices, axis=0)
        return ops.take(self.levels, ops.cast(codes, "int32"), axis=0)

    def compute_output_spec(self, indices):
        shape = self._image_shape if self.built else self._codes.shape[1:]
        return keras.KerasTensor((*indices.shape, *shape), dtype="float32")

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


def encode(images):
    """Return images as bytes, and the table of 256 floats that maps them back."""
    codes = np.rint((images + 1.0) * 127.5).astype("uint8")
    levels = np.zeros(256, "float32")
    levels[codes.ravel()] = images.ravel()
    if not np.array_equal(levels[codes], images):
        raise ValueError(
            "Argument `images` must hold floats in [-1, 1] that are multiples of 2/255, or of a "
            f"larger step. Received: values from {np.min(images)} to {np.max(images)}"
        )
    return codes, levels
