"""The rate of an encoder, as a metric and as a function of a data set."""

import keras
from keras import ops

from keras_slashed.metrics.posterior import mask_of_encoded
from keras_slashed.metrics.posterior import moments_over
from keras_slashed.metrics.posterior import posterior_of
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.metrics.sample_weight import without_unweighted


@keras.saving.register_keras_serializable(package="keras_slashed")
class Rate(keras.metrics.Mean):
    """The mean rate in nats, `E_x |psi(x)|^2`.

    It is the mean of `KL(posterior || prior)` over all leading axes of the amplitudes. To see the
    rates that the layers of a model reach in `fit`, use `keras_slashed.callbacks.RateMonitor`,
    which does not require access to the amplitudes.

    A metric in `model.compile(metrics=...)` receives only targets and predictions. Use this
    metric, like all in `keras_slashed.metrics`, in a custom train or test step, in
    `compute_loss` or in a custom loop. If an output of the model is an amplitude, you can
    instead pass `MeanMetricWrapper(lambda y_true, y_pred: keras_slashed.ops.rate(y_pred))` of
    `keras.metrics` to `compile`.

    Args:
        name: String. Name of the metric.
        dtype: String or None. Dtype of the result.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`, or a distribution of
            `keras_slashed.distributions`.
        sample_weight: Float or boolean tensor of shape `(batch, ...)`, or of the first axes of
            that shape. Weights or a mask. Values with a weight of 0 may be arbitrary. Where a mask
            that Keras keeps with the amplitude is False, the weight is 0.

    Raises:
        ValueError: If the last axis has an odd length, the amplitude is complex, or
            `sample_weight` has another shape.

    Example:

    >>> metric = keras_slashed.metrics.Rate()
    >>> metric.update_state([[1.0, 0.0], [1.0, 1.0], [5.0, 5.0]], sample_weight=[1, 1, 0])
    >>> float(metric.result())
    1.5

    Reference:
        Slashed Normal, Eq. 46.
    """

    def __init__(self, name="rate", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, amplitude, sample_weight=None):
        rates = posterior_of(amplitude).kl_divergence()
        weights = weights_of(sample_weight, rates, mask_of_encoded(amplitude))
        rates = without_unweighted(rates, weights)
        super().update_state(ops.reshape(rates, (-1,)), ops.reshape(weights, (-1,)))


def rate(encoder, x, batch_size=32, verbose=0):
    """Compute the mean rate of an encoder over a data set in nats, `E_x |psi(x)|^2`.

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
        A float. Batches are added in float64.

    Raises:
        ValueError: If the data are empty, entirely masked, of different lengths, or of an
            unsupported type.

    Example:

    >>> encoder = keras.layers.Dense(4, kernel_initializer="ones")
    >>> keras_slashed.metrics.rate(encoder, keras.ops.ones((10, 2)))
    16.0

    Reference:
        Slashed Normal, Eq. 46.
    """

    def rates(posterior):
        return ops.expand_dims(posterior.kl_divergence(), -1)

    return float(moments_over(rates, encoder, x, batch_size, verbose).mean[0])
