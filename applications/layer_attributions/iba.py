"""IBA: the per-sample information bottleneck for attribution of Schulz et al. (2020)."""

import numpy as np
from keras import ops

from applications.training.backends import compile_with_state
from applications.training.backends import input_gradient

_BATCH = 5  # images in one computation
_MOMENTA = 0.9, 0.999  # of Adam
_EPSILON = 1e-8


class IBA:
    """The bottleneck of each image at a layer, fitted by Adam.

    The features R at the layer are replaced by `z = lambda R + (1 - lambda) eps`, where eps is
    noise with the mean and the standard deviation of the features over the training data. lambda
    is in (0, 1) for each element: the sigmoid of alpha, smoothed by a Gaussian over positions.
    alpha of an image minimizes

    `E[cross_entropy(y, tail(z))] + beta mean(KL(p(z | R) || p(eps)))`

    with the mean over all elements. The map is the KL of each element, in nats.

    Args:
        tail: `keras.Model` from the features to logits. When its weights change, nothing is
            compiled again.
        beta: Float. Price of the mean information. Schulz et al. use 10.
        steps: Integer. Steps of Adam.
        num_samples: Integer. Number of draws of eps in each step.
        smoothing: Float. Standard deviation of the Gaussian in positions, 0 for none.
        learning_rate: Float. That of Adam.
        initial: Float. Initial value of alpha, which lets almost everything pass.

    Reference:
        Schulz et al., Restricting the Flow: Information Bottlenecks for Attribution, 2020.
    """

    def __init__(
        self, tail, beta=10.0, steps=10, num_samples=10, smoothing=1.0, learning_rate=1.0,
        initial=5.0,
    ):  # fmt: skip
        self._tail, self._beta, self._smoothing = tail, beta, smoothing
        self._steps, self._num_samples = steps, num_samples
        self._learning_rate, self._initial = learning_rate, initial
        self._compiled = compile_with_state(self._gradient, tail.variables)

    def __call__(self, features, y, mean, stddev, seed):
        """Return the nats of each element, an array of the features' shape.

        Args:
            features: NumPy array of shape `(N, ..., channels)`.
            y: Integer NumPy array of shape `(N,)`. Classes to explain.
            mean: NumPy array of shape `(channels,)`. Mean of eps.
            stddev: NumPy array of shape `(channels,)`. Standard deviation of eps, above 0.
            seed: Integer. Seed of the draws.
        """
        rng = np.random.default_rng(seed)
        parts = []
        for start in range(0, len(features), _BATCH):
            rows = slice(start, start + _BATCH)
            alpha = self._fitted(features[rows], y[rows], mean, stddev, rng)
            nats = information(alpha, features[rows], mean, stddev, self._smoothing)
            parts.append(ops.convert_to_numpy(nats))
        return np.concatenate(parts)

    def _fitted(self, features, y, mean, stddev, rng):
        """Return alpha after all steps of Adam."""
        alpha = np.full(features.shape, self._initial, "float32")
        first = second = np.zeros_like(alpha)
        for step in range(1, self._steps + 1):
            gradient = self.gradient(alpha, features, y, mean, stddev, self.draws(features, rng))
            first = _MOMENTA[0] * first + (1 - _MOMENTA[0]) * gradient
            second = _MOMENTA[1] * second + (1 - _MOMENTA[1]) * gradient**2
            unbiased = first / (1 - _MOMENTA[0] ** step), second / (1 - _MOMENTA[1] ** step)
            alpha = alpha - self._learning_rate * unbiased[0] / (np.sqrt(unbiased[1]) + _EPSILON)
        return alpha

    def draws(self, features, rng):
        """Return standard normal draws for features: an axis of draws follows the first one."""
        shape = len(features), self._num_samples, *features.shape[1:]
        return rng.standard_normal(shape, dtype="float32")

    def gradient(self, alpha, features, y, mean, stddev, draws):
        """Return the gradient of the objective with respect to alpha, as a NumPy array."""
        arrays = alpha, features, y, mean, stddev, draws
        return ops.convert_to_numpy(self._compiled(*map(ops.convert_to_tensor, arrays)))

    def _gradient(self, alpha, *arrays):
        def total(alpha):
            return ops.sum(self.objective(alpha, *arrays)), ()

        return input_gradient(total, alpha)[0]

    def objective(self, alpha, features, y, mean, stddev, draws):
        """Return the objective of each image for some draws, a tensor of shape `(N,)`."""
        share, rest = shares(alpha, self._smoothing)
        share, rest, features = (ops.expand_dims(x, 1) for x in (share, rest, features))
        z = share * features + rest * (mean + stddev * draws)
        count = self._num_samples
        logits = self._tail(ops.reshape(z, (-1, *z.shape[2:])), training=False)
        loss = ops.sparse_categorical_crossentropy(
            ops.repeat(y, count), ops.cast(logits, "float32"), from_logits=True
        )
        loss = ops.mean(ops.reshape(loss, (-1, count)), axis=1)
        nats = information(alpha, features[:, 0], mean, stddev, self._smoothing)
        return loss + self._beta * ops.mean(ops.reshape(nats, (nats.shape[0], -1)), axis=1)


def shares(alpha, smoothing):
    """Return lambda and 1 - lambda, each without cancellation."""
    return tuple(_smoothed(ops.sigmoid(sign * alpha), smoothing) for sign in (1, -1))


def information(alpha, features, mean, stddev, smoothing):
    """Return the nats of each element: KL(N(l R + (1 - l) m, (1 - l)^2 s^2) || N(m, s^2))."""
    alpha, features, mean, stddev = map(ops.convert_to_tensor, (alpha, features, mean, stddev))
    share, rest = shares(alpha, smoothing)
    normalized = (features - mean) / stddev
    return 0.5 * (ops.square(rest) + ops.square(share * normalized) - 1.0) - ops.log(rest)


def _smoothed(x, smoothing):
    """Blur maps of shape (N, height, width, channels). The weights at a border add up to 1."""
    if not smoothing:
        return x
    rows, columns = (_gaussian(length, smoothing) for length in x.shape[1:3])
    return ops.einsum("ij,njkc,lk->nilc", rows, x, columns)


def _gaussian(length, smoothing):
    distance = np.subtract.outer(np.arange(length), np.arange(length)) / smoothing
    weights = np.exp(-0.5 * distance**2)
    return ops.convert_to_tensor((weights / weights.sum(axis=1, keepdims=True)).astype("float32"))
