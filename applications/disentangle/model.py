"""The convolutional VAE, with one of six bottlenecks."""

from typing import Any
from typing import NamedTuple

import keras
from keras import layers
from keras import ops

import keras_slashed


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class CapacityPenalty(layers.Layer):
    """Add `gamma |KL - C|` to the loss, with the mean KL of the batch (Burgess et al. 2018).

    It returns its input. Assign to `capacity` to change C.

    Args:
        gamma: Float. Weight of the penalty.
        capacity: Float. The first C in nats.
        **kwargs: Base layer keyword arguments.
    """

    def __init__(self, gamma, capacity, **kwargs):
        super().__init__(**kwargs)
        self.gamma = gamma
        self._first = capacity

    def build(self, amplitude_shape):
        start = keras.initializers.Constant(self._first)
        self.capacity = self.add_weight(
            (), start, "float32", trainable=False, autocast=False, name="capacity"
        )

    def call(self, amplitude):
        rate = ops.mean(keras_slashed.ops.rate(amplitude))
        self.add_loss(self.gamma * ops.abs(rate - self.capacity))
        return amplitude

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "capacity": self._first}


class VAE(NamedTuple):
    """The models of a row."""

    model: Any  # model from images to logits of pixels; it draws, in training and at inference
    encoder: Any  # model from images to the amplitudes that `model` draws from
    decoder: Any  # model from latents to logits of pixels
    bottleneck: Any  # the layer that draws, `SlashedNormalSampling` or `FixedRateVIB`
    penalty: Any  # the `CapacityPenalty`, or None


def build(setting):
    """Return the compiled `VAE` of a row. The loss is in nats per image."""
    images = keras.Input((32, 32, 1), name="images")
    amplitude = _encode(images, setting.width, 2 * setting.latent_dim)
    penalty = None
    if setting.row == "penalty":
        penalty = CapacityPenalty(setting.gamma, setting.initial, name="penalty")
        amplitude = penalty(amplitude)
    bottleneck = _bottleneck(setting)
    latent = bottleneck(amplitude)
    if hasattr(bottleneck, "rate_normalization"):
        amplitude = bottleneck.rate_normalization(amplitude)
    decoder = _decoder(setting.latent_dim, setting.width)
    model = keras.Model(images, decoder(latent))
    optimizer = keras.optimizers.Adam(setting.learning_rate)
    model.compile(optimizer, loss=reconstruction, metrics=[reconstruction])
    optimizer.build(model.trainable_variables)
    return VAE(model, keras.Model(images, amplitude), decoder, bottleneck, penalty)


def reconstruction(images, logits):
    """Return the negative log-likelihood of each image in nats, for independent pixels."""
    losses = ops.binary_crossentropy(images, logits, from_logits=True)
    return ops.sum(losses, axis=(1, 2, 3))


def _bottleneck(setting):
    common = {"inference": "sample", "kl_weight": setting.kl_weight, "name": "latent"}
    if setting.row in ("batch", "feature"):
        return keras_slashed.layers.FixedRateVIB(setting.capacity, setting.row, **common)
    if setting.row == "committed":
        rate = keras_slashed.rates.CommittedRate(setting.capacity)
        return keras_slashed.layers.FixedRateVIB(rate, **common)
    return keras_slashed.layers.SlashedNormalSampling(**common)


def _encode(x, width, outputs):
    for channels in (width, width, 2 * width):
        x = layers.Conv2D(channels, 4, 2, "same", activation="relu")(x)
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    return layers.Dense(outputs, name="amplitude")(x)


def _decoder(latent_dim, width):
    """Return a model from latents to logits. Each block doubles the size of the image."""
    latent = keras.Input((latent_dim,), name="z")
    x = layers.Dense(128, activation="relu")(latent)
    x = layers.Dense(4 * 4 * 2 * width, activation="relu")(x)
    x = layers.Reshape((4, 4, 2 * width))(x)
    for size, channels in ((4, width), (8, width), (16, 1)):
        # Sub-pixel convolution (Shi et al. 2016): on a CPU it takes less time than a
        # transposed convolution of the same size.
        x = layers.Conv2D(4 * channels, 3, padding="same")(x)
        x = layers.Reshape((size, size, 2, 2, channels))(x)
        x = layers.Permute((1, 3, 2, 4, 5))(x)
        x = layers.Reshape((2 * size, 2 * size, channels))(x)
        if channels > 1:
            x = layers.Activation("relu")(x)
    return keras.Model(latent, x, name="decoder")
