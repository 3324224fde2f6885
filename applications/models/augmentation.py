"""RandomCropAndFlip: the usual augmentation of CIFAR-10."""

import keras
from keras import ops

from applications.checks import check_positive_integer


@keras.saving.register_keras_serializable(package="applications")
class RandomCropAndFlip(keras.layers.Layer):
    """Crop each padded image at a random place, and mirror half of the images, in training.

    The layer pads an image on all four sides, cuts out a window of the original size at a place
    drawn uniformly from the `(2 padding + 1)^2` possible ones, and reverses the columns with
    probability 1/2. Each image of a batch has its own draw, while Keras' `RandomCrop` has one
    draw per batch. No pixel is interpolated. At inference images pass unchanged.

    Args:
        padding: Integer. Number of rows and columns to add on each side.
        fill_value: Float. Value of the added pixels. -1 is black on the scale [-1, 1], since
            torchvision pads before it normalizes.
        seed: Integer or None. Seed of the draws.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        images: Tensor of shape `(batch, height, width, channels)`.
        training: Boolean. Whether the layer runs in training mode.

    Output shape:
        Same shape as the images.

    Raises:
        ValueError: If `padding` is not a positive integer, or the height or width of the
            images is unknown.
    """

    def __init__(self, padding=4, fill_value=-1.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_positive_integer("padding", padding)
        self.padding = padding
        self.fill_value = float(fill_value)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:3]:
            raise ValueError(
                "Images must have the shape (batch, height, width, channels), with known height "
                f"and width. Received: images.shape={tuple(input_shape)}"
            )

    def call(self, images, training=None):
        if not training:
            return images
        batch = ops.shape(images)[0]
        height, width, channels = images.shape[1:]
        pad = self.padding
        draw = {"dtype": "int32", "seed": self.seed_generator}
        corner = keras.random.randint((2, batch, 1), 0, 2 * pad + 1, **draw)
        mirrored = keras.random.randint((batch, 1), 0, 2, **draw) == 1

        rows = corner[0] + ops.arange(height, dtype="int32")
        columns = ops.arange(width, dtype="int32")
        columns = corner[1] + ops.where(mirrored, width - 1 - columns, columns)

        # One gather of pixels makes all windows, from a flat list of all padded images.
        padded = ops.pad(
            images, [(0, 0), (pad, pad), (pad, pad), (0, 0)], constant_values=self.fill_value
        )
        rows = rows + (height + 2 * pad) * ops.arange(batch, dtype="int32")[:, None]
        pixels = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]
        return ops.take(ops.reshape(padded, (-1, channels)), pixels, axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(padding=self.padding, fill_value=self.fill_value, seed=self.seed)
        return config
