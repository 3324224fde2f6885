"""Active units: their metric, and over a data set."""

import keras
import numpy as np
from keras import ops

from keras_slashed.backend import sum_over_mirrored_replicas
from keras_slashed.evaluation.moments import merged_moments
from keras_slashed.metrics.posterior import moments_over
from keras_slashed.metrics.posterior import posterior_of
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.metrics.sample_weight import without_unweighted
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_number


@keras.saving.register_keras_serializable(package="keras_slashed")
class ActiveUnits(keras.metrics.Metric):
    """The number of latent dimensions that vary with the data.

    Dimension k is active where `Var_x(mean_k(x)) > threshold`, the variance over the
    data of its posterior mean, `sqrt(2) a_k` on a standard normal prior. It is the
    mean squared deviation, as `numpy.var` has it, over all leading axes of the
    amplitudes seen; kept in float32 without loss of digits, by merging the batches'
    means and squared deviations.

    The state has K entries: it is made at the first update, or in `build`, which
    must be called before a compiled JAX step. Where to use it: see
    `keras_slashed.metrics.Rate`.

    Args:
        threshold: What the variance of an active dimension exceeds.
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`, or a distribution of
            `keras_slashed.distributions`.
        sample_weight: Weights or a mask of shape `(batch, ...)` or of its first
            axes; what has a weight of 0 may be anything.

    Raises:
        ValueError: The threshold is negative, or a shape does not fit.

    Example:

    >>> metric = keras_slashed.metrics.ActiveUnits()
    >>> metric.update_state([[0.0, 1.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0]])
    >>> float(metric.result())
    1.0
    >>> keras.ops.convert_to_numpy(metric.variances()).round(4).tolist()
    [0.0, 0.5]

    Reference:
        Slashed Normal, Eq. 47; Burda et al., Importance Weighted Autoencoders, 2015.
    """

    def __init__(self, threshold=0.01, name="active_units", dtype=None):
        super().__init__(name=name, dtype=dtype)
        check_number("threshold", threshold, minimum=0)
        self.threshold = threshold
        self.built = False

    def build(self, amplitude_shape):
        """Make the state, for amplitudes of shape `(..., 2K)`."""
        check_amplitude_shape(amplitude_shape)
        self._build(amplitude_shape[-1] // 2)

    def _build(self, size):
        self.count = self._add("count", ())
        self.mean = self._add("mean", (size,))
        self.squares = self._add("squares", (size,))
        self.built = True

    def _add(self, name, shape):
        # Replicas of a distributed step all write the same to the one variable they share.
        return self.add_variable(shape, "zeros", "float32", aggregation="mean", name=name)

    def update_state(self, amplitude, sample_weight=None):
        means = ops.cast(posterior_of(amplitude).mean, "float32")
        if not self.built:
            self._build(means.shape[-1])
        weights = ops.expand_dims(weights_of(sample_weight, means[..., 0]), -1)
        means = without_unweighted(means, weights)
        axes = list(range(len(means.shape) - 1))
        count = sum_over_mirrored_replicas(ops.sum(weights))
        # An empty batch, or none before, has a share of 0, not 0 / 0.
        mean = sum_over_mirrored_replicas(ops.sum(weights * means, axis=axes)) / _or_one(count)
        squares = ops.sum(weights * ops.square(means - mean), axis=axes)
        squares = sum_over_mirrored_replicas(squares)
        share = count / _or_one(self.count + count)
        moments = self.mean.value, self.squares.value, mean, squares
        mean, squares = merged_moments(*moments, self.count.value, share)
        self.mean.assign(mean)
        self.squares.assign(squares)
        self.count.assign(self.count.value + count)

    def variances(self):
        """Return the variances of the posterior means, of shape `(K,)`."""
        if not self.built:
            raise ValueError(f"The metric {self.name!r} has seen no amplitude yet.")
        return self.squares / _or_one(self.count.value)

    def result(self):
        if not self.built:
            return ops.zeros((), dtype=self.dtype)
        return ops.sum(ops.cast(self.variances() > self.threshold, self.dtype))

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


def active_units(encoder, x, threshold=0.01, batch_size=32, verbose=0):
    """Return the number of latent dimensions whose posterior mean varies over a data set.

    Dimension k is active where `Var_x(mean_k(x)) > threshold`; see `unit_variances`.

    Args:
        encoder: See `unit_variances`.
        x: Likewise.
        threshold: What the variance of an active dimension exceeds.
        batch_size: Rows in one call of the encoder, where x is arrays.
        verbose: 0, 1, 2 or "auto", for a progress bar.

    Returns:
        An integer from 0 to K.

    Raises:
        ValueError: The threshold is negative; the data are empty, of different
            lengths, or no data.

    Example:

    >>> x = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0]])
    >>> keras_slashed.metrics.active_units(lambda x: x, x)
    1

    Reference:
        Slashed Normal, Eq. 47; Burda et al., Importance Weighted Autoencoders, 2015.
    """
    check_number("threshold", threshold, minimum=0)
    return int(np.sum(unit_variances(encoder, x, batch_size, verbose) > threshold))


def unit_variances(encoder, x, batch_size=32, verbose=0):
    """Return the variance over a data set of each latent dimension's posterior mean.

    Args:
        encoder: A Keras model or any callable, from a batch of x to an amplitude of
            shape `(batch, ..., 2K)` or to a distribution of
            `keras_slashed.distributions`. All leading axes are alike instances.
        x: The data: arrays in any nested structure, or an iterable of batches as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        batch_size: Rows in one call of the encoder, where x is arrays.
        verbose: 0, 1, 2 or "auto", for a progress bar.

    Returns:
        A NumPy array of shape `(K,)`: mean squared deviations, computed in float64.

    Raises:
        ValueError: The data are empty, of different lengths, or no data.

    Example:

    >>> x = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0]])
    >>> keras_slashed.metrics.unit_variances(lambda x: x, x).round(4).tolist()
    [0.0, 0.5]

    Reference:
        Slashed Normal, Eq. 47.
    """

    def means(posterior):
        return at_least_float32(posterior.mean)

    return moments_over(means, encoder, x, batch_size, verbose).variance


def _or_one(x):
    """Return a divisor that is not 0."""
    return ops.where(x > 0.0, x, ops.ones_like(x))
