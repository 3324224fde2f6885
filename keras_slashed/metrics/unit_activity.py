"""Active units, as a metric and as a function of a data set."""

import keras
import numpy as np
from keras import ops

from keras_slashed.backend import sum_over_mirrored_replicas
from keras_slashed.evaluation.moments import merged_moments
from keras_slashed.metrics.posterior import mask_of_encoded
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

    Dimension k is active if `Var_x(mean_k(x)) > threshold`, the variance over the data of its
    posterior mean, which is `sqrt(2) a_k` with a standard normal prior. It is the mean squared
    deviation, as in `numpy.var`, over all leading axes of the amplitudes. The metric computes it
    in float32 without loss of digits, by merging the means and squared deviations of batches.

    The state has K entries. The metric creates it in the first update, or in `build`, which you
    must call before a compiled JAX step. `keras_slashed.metrics.Rate` describes where to use the
    metric.

    Args:
        threshold: Float, 0 or more. A dimension is active if its variance exceeds this.
        name: String. Name of the metric.
        dtype: String or None. Dtype of the result.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`, or a distribution of
            `keras_slashed.distributions`.
        sample_weight: Float or boolean tensor of shape `(batch, ...)`, or of the first axes of
            that shape. Weights or a mask. Values with a weight of 0 may be arbitrary. Where a mask
            that Keras keeps with the amplitude is False, the weight is 0.

    Raises:
        ValueError: If the threshold is negative, or a shape does not fit.

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
        """Create the state for amplitudes of shape `(..., 2K)`."""
        check_amplitude_shape(amplitude_shape)
        self._build(amplitude_shape[-1] // 2)

    def _build(self, size):
        self.count = self._add("count", ())
        self.mean = self._add("mean", (size,))
        self.squares = self._add("squares", (size,))
        self.built = True

    def _add(self, name, shape):
        # Replicas of a distributed step write the same values to the variable that they share.
        return self.add_variable(shape, "zeros", "float32", aggregation="mean", name=name)

    def update_state(self, amplitude, sample_weight=None):
        means = ops.cast(posterior_of(amplitude).mean, "float32")
        if not self.built:
            self._build(means.shape[-1])
        weights = weights_of(sample_weight, means[..., 0], mask_of_encoded(amplitude))
        weights = ops.expand_dims(weights, -1)
        means = without_unweighted(means, weights)
        axes = list(range(len(means.shape) - 1))
        count = sum_over_mirrored_replicas(ops.sum(weights))
        # `_or_one` makes the share of an empty batch 0 instead of 0 / 0.
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
            raise ValueError(f"Metric {self.name!r} has not received any amplitudes yet.")
        return self.squares / _or_one(self.count.value)

    def result(self):
        if not self.built:
            return ops.zeros((), dtype=self.dtype)
        return ops.sum(ops.cast(self.variances() > self.threshold, self.dtype))

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


def active_units(encoder, x, threshold=0.01, batch_size=32, verbose=0):
    """Count the latent dimensions whose posterior mean varies over a data set.

    Dimension k is active if `Var_x(mean_k(x)) > threshold`. See `unit_variances`.

    Args:
        encoder: Keras model or callable. It takes a batch of x, and returns an amplitude of shape
            `(batch, ..., 2K)` or a distribution of `keras_slashed.distributions`. All leading
            axes are equivalent: each of their positions is an instance, except where a mask that
            Keras keeps with the output is False.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        threshold: Float, 0 or more. A dimension is active if its variance exceeds this.
        batch_size: Integer. Number of rows in one call of the encoder, if x consists of arrays.
        verbose: 0, 1, 2 or "auto". Progress bar.

    Returns:
        An integer from 0 to K.

    Raises:
        ValueError: If the threshold is negative, or the data are empty, entirely masked, of
            different lengths, or of an unsupported type.

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
    """Compute the variance of the posterior mean of each latent dimension over a data set.

    Args:
        encoder: Keras model or callable. It takes a batch of x, and returns an amplitude of shape
            `(batch, ..., 2K)` or a distribution of `keras_slashed.distributions`. All leading
            axes are equivalent: each of their positions is an instance, except where a mask that
            Keras keeps with the output is False.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        batch_size: Integer. Number of rows in one call of the encoder, if x consists of arrays.
        verbose: 0, 1, 2 or "auto". Progress bar.

    Returns:
        A NumPy array of shape `(K,)` with mean squared deviations, computed in float64.

    Raises:
        ValueError: If the data are empty, entirely masked, of different lengths, or of an
            unsupported type.

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
    """Return x where it is positive, otherwise 1, as a divisor."""
    return ops.where(x > 0.0, x, ops.ones_like(x))
