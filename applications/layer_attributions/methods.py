"""Attribution maps of a classifier at one of its layers, or at the pixels, by each method.

A method is a function of images, classes, and the means and standard deviations of the
channels. It returns `Maps`.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from applications.attributions.methods import logit_gradients
from applications.layer_attributions.iba import IBA
from keras_slashed.attribution import amplitude_attribution

PIXELS = "pixels"
_BATCH = 50  # images per batch, and rows of the amplitude
_SMALLEST = 1e-3  # standard deviation of a channel, as a share of the largest one


class Maps(NamedTuple):
    """The maps of one method."""

    values: np.ndarray  # of shape `(N, height, width)`
    nats: np.ndarray | None = None  # of shape `(N,)`, the information of each image
    # Of shape `(N,)`, the distance of each image from stationarity (see
    # `keras_slashed.attribution.Attribution`).
    residual: np.ndarray | None = None


class CutClassifier:
    """A classifier, cut at a layer into a head and a tail with the same weights.

    Args:
        model: Functional `keras.Model` from images to logits.
        layer: String. Name of a layer, or `PIXELS`.

    Attributes:
        model: The classifier.
        layer: Name of the layer, or None for the pixels.
        tail: `keras.Model` from the features at the layer to logits.
    """

    def __init__(self, model, layer):
        self.model, self.layer = model, None if layer == PIXELS else layer
        self.tail, self._head = model, None
        if self.layer is not None:
            features = model.get_layer(layer).output
            self._head = keras.Model(model.input, features)
            self.tail = keras.Model(features, model.output)

    def features(self, x):
        """Return what the tail gets for images, a NumPy array."""
        return x if self._head is None else self._head.predict(x, batch_size=_BATCH, verbose=0)

    def statistics(self, x):
        """Return the mean and the standard deviation of each channel, the noise of a bottleneck.

        A channel that is constant gets a small standard deviation, since noise of 0 has no KL.
        """
        features = self.features(x)
        axes = tuple(range(features.ndim - 1))
        mean = features.mean(axis=axes, dtype="float64")
        stddev = features.std(axis=axes, dtype="float64")
        stddev = np.maximum(stddev, _SMALLEST * stddev.max())
        return mean.astype("float32"), stddev.astype("float32")


def methods(cut, beta, steps, num_samples, seed):
    """Return the methods to compare by name, each with its number of gradients per image.

    Args:
        cut: `CutClassifier`.
        beta: Float. Price of the mean information of all elements, for the amplitude as for IBA.
        steps: Integer. Steps of the amplitude and of IBA.
        num_samples: Integer. Number of draws in each step.
        seed: Integer. Seed of the draws.

    Returns:
        Dict from names to tuples `(function, gradients)`.
    """
    partial = functools.partial
    drawn = {"steps": steps, "num_samples": num_samples}
    own = partial(_amplitude, cut, beta=beta, seed=seed, **drawn)
    iterated = (steps + 1) * num_samples  # the last one measures the residual
    return {
        "amplitude": (partial(own, is_around_mean=True), iterated),
        "amplitude, around the value": (partial(own, is_around_mean=False), iterated),
        "IBA": (partial(_iba, cut, IBA(cut.tail, beta, **drawn), seed), steps * num_samples),
        "IBA, not smoothed": (
            partial(_iba, cut, IBA(cut.tail, beta, smoothing=0.0, **drawn), seed),
            steps * num_samples,
        ),
        "gradient x activation": (partial(_times_activation, cut, logit_gradients(cut.tail)), 1),
        "random": (partial(_random, cut, seed), 0),
    }


def _amplitude(cut, x, y, mean, stddev, beta, seed, is_around_mean, **drawn):
    """The map of the library, with the price of a nat that IBA has."""
    result = amplitude_attribution(
        cut.model,
        x,
        y,
        beta=beta / np.prod(cut.tail.input.shape[1:]),
        layer=cut.layer,
        noise=stddev,
        prior_mean=mean if is_around_mean else None,
        batch_size=_BATCH // 10,
        chunk_size=10,
        seed=seed,
        **drawn,
    )
    return Maps(result.tokens, result.rate, result.residual)  # the nats of each position


def _iba(cut, bottleneck, seed, x, y, mean, stddev):
    nats = bottleneck(cut.features(x), y, mean, stddev, seed)
    return Maps(nats.sum(axis=-1), nats.sum(axis=(1, 2, 3)))


def _times_activation(cut, gradients, x, y, mean, stddev):
    """The gradient of the class's logit times the features, as Grad-CAM at each position."""
    features = cut.features(x)
    return Maps((gradients(features, y) * features).sum(axis=-1))


def _random(cut, seed, x, y, mean, stddev):
    """Noise, a map without information."""
    shape = len(x), *cut.tail.input.shape[1:3]
    return Maps(np.random.default_rng(seed).random(shape, dtype="float32"))


def resized(maps, shape):
    """Return maps of shape `(N, height, width)` in the size of the images, interpolated."""
    maps = ops.image.resize(
        ops.convert_to_tensor(maps[..., None].astype("float32")),
        shape,
        interpolation="bilinear",
        data_format="channels_last",
    )
    return ops.convert_to_numpy(maps)[..., 0]
