"""BlockVAE: a VAE whose latent is blocks, each of them an instance with its own rate."""

import math

import keras
from keras import layers
from keras import ops

from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.ops import narrow_amplitude


class BlockVAE:
    """A VAE of three models that share their weights.

    Args:
        setting: `CoderSetting` of the model.
        image_shape: Tuple of integers. Shape of an image.

    Attributes:
        encoder: `keras.Model` from images to amplitudes of shape `(batch, blocks, 2 block_dim)`.
            With a fixed rate, every block of every image has exactly this rate.
        decoder: `keras.Model` from latents of shape `(batch, blocks, block_dim)` to outputs of
            the images' shape: logits of binary pixels, or pixels in (0, 1).
        training: `keras.Model` from images to outputs, through draws of the posterior.

    Raises:
        ValueError: If a convolutional latent does not have the number of blocks of its map.
    """

    def __init__(self, setting, image_shape):
        self.setting = setting
        build = _convolutions if setting.is_convolutional else _dense_layers
        amplitude_of, output_of = build(setting, image_shape)
        image = keras.Input(image_shape, name="image")
        amplitude = layers.Reshape((setting.blocks, 2 * setting.block_dim))(amplitude_of(image))
        if setting.folded:
            amplitude = narrow_amplitude(amplitude)
        if setting.rate:
            amplitude = RateNormalization(setting.rate, "instance", name="rate")(amplitude)
        self.encoder = keras.Model(image, amplitude, name="encoder")
        latent = keras.Input((setting.blocks, setting.block_dim), name="latent")
        self.decoder = keras.Model(latent, output_of(latent), name="decoder")
        sampling = SlashedNormalSampling(setting.beta, seed=setting.seed, name="sampling")
        self.training = keras.Model(image, self.decoder(sampling(self.encoder(image))), name="vae")


def _dense_layers(setting, image_shape):
    """Return functions from an image to its amplitude, and from a latent to the output."""

    def amplitude_of(x):
        x = layers.Flatten()(x)
        for _ in range(2):
            x = layers.Dense(setting.units, activation="relu")(x)
        return layers.Dense(2 * setting.blocks * setting.block_dim)(x)

    def output_of(x):
        x = layers.Flatten()(x)
        for _ in range(2):
            x = layers.Dense(setting.units, activation="relu")(x)
        x = layers.Dense(math.prod(image_shape), activation=_last_activation(setting))(x)
        return layers.Reshape(image_shape)(x)

    return amplitude_of, output_of


def _convolutions(setting, image_shape):
    """Return the same two functions with a latent map of a fourth of the height and width.

    Two strides of 2 lead to the map. Each of its positions is a block.
    """
    height, width, channels = image_shape
    positions = (height // 4) * (width // 4)
    if setting.blocks != positions:
        raise ValueError(
            f"Images of shape {tuple(image_shape)} have a latent map of {height // 4} x "
            f"{width // 4} positions, and each of them is a block. Expected: {positions} blocks. "
            f"Received: {setting.blocks}"
        )
    options = {"padding": "same", "activation": "relu"}

    def amplitude_of(x):
        x = layers.Conv2D(setting.units // 2, 4, strides=2, **options)(x)
        x = layers.Conv2D(setting.units, 4, strides=2, **options)(x)
        x = layers.Conv2D(setting.units, 3, **options)(x)
        return layers.Conv2D(2 * setting.block_dim, 1)(x)

    def output_of(x):
        x = layers.Reshape((height // 4, width // 4, setting.block_dim))(x)
        x = layers.Conv2D(setting.units, 3, **options)(x)
        x = layers.Conv2D(setting.units, 3, **options)(x)
        x = layers.Conv2DTranspose(setting.units, 4, strides=2, **options)(x)
        x = layers.Conv2DTranspose(setting.units // 2, 4, strides=2, **options)(x)
        return layers.Conv2D(channels, 3, padding="same", activation=_last_activation(setting))(x)

    return amplitude_of, output_of


def _last_activation(setting):
    return None if setting.pixels == "binary" else "sigmoid"


def reconstruction(setting):
    """Return the loss of a model: a function of images and outputs to nats per image.

    For binary pixels it is minus the log-likelihood of a Bernoulli distribution. For shades it
    is `||x - output||^2 / (2 noise^2)`, minus the log-likelihood of a normal distribution up to
    a constant.

    Args:
        setting: `CoderSetting` of the model.
    """

    def nats(image, output):
        if setting.pixels == "binary":
            each = ops.softplus(output) - image * output
        else:
            each = ops.square(image - output) / (2 * setting.noise**2)
        return ops.sum(ops.reshape(each, (ops.shape(each)[0], -1)), axis=-1)

    return nats
