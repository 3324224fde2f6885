"""The rate of an encoder: its metric, and over a data set."""

import keras
from keras import ops

from keras_slashed.metrics.posterior import moments_over
from keras_slashed.metrics.posterior import posterior_of
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.metrics.sample_weight import without_unweighted


@keras.saving.register_keras_serializable(package="keras_slashed")
class Rate(keras.metrics.Mean):
    """The mean rate in nats, `E_x |psi(x)|^2`.

    It is the mean of KL(posterior || prior) over all leading axes of the amplitudes
    seen. For the rates that a model's layers reach in `fit`, see
    `keras_slashed.callbacks.RateMonitor`: it needs no amplitude to be at hand.

    A metric in `model.compile(metrics=...)` sees targets and predictions alone.
    This one, as all in `keras_slashed.metrics`, is for a train or test step of your
    own, or a `compute_loss`, or a loop; in `compile`, Keras' own
    `MeanMetricWrapper(lambda y_true, y_pred: keras_slashed.ops.rate(y_pred))`
    does for an output that is an amplitude.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`, or a distribution of
            `keras_slashed.distributions`.
        sample_weight: Weights or a mask of shape `(batch, ...)` or of its first
            axes; what has a weight of 0 may be anything.

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
        weights = weights_of(sample_weight, rates)
        rates = without_unweighted(rates, weights)
        super().update_state(ops.reshape(rates, (-1,)), ops.reshape(weights, (-1,)))


def rate(encoder, x, batch_size=32, verbose=0):
    """Return the mean rate of an encoder over a data set in nats, `E_x |psi(x)|^2`.

    Args:
        encoder: A Keras model or any callable, from a batch of x to an amplitude of
            shape `(batch, ..., 2K)` or to a distribution of
            `keras_slashed.distributions`. All leading axes are alike instances.
        x: The data: arrays in any nested structure, or an iterable of batches as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        batch_size: Rows in one call of the encoder, where x is arrays.
        verbose: 0, 1, 2 or "auto", for a progress bar.

    Returns:
        A float. Batches are added in float64.

    Raises:
        ValueError: The data are empty, of different lengths, or no data.

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
