"""SlashedNormalSampling: a sample of the posterior, and its rate as a loss."""

import keras
from keras import ops

from keras_slashed.layers.rate_tracker import RateTracker
from keras_slashed.ops.amplitude import rate as rate_of
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_mask_shape
from keras_slashed.validation import check_non_negative
from keras_slashed.validation import check_num_samples
from keras_slashed.validation import check_prior_shape

INFERENCES = ("sample", "mean")


@keras.saving.register_keras_serializable(package="keras_slashed")
class SlashedNormalSampling(keras.layers.Layer):
    """Draw from the normal posterior of an amplitude; add its rate to the loss.

    `z = prior_mean + prior_stddev (sqrt(2) a + stdplus(sqrt(2) b) eps)`, with
    `eps` standard normal noise and `a`, `b` the first and last K entries of the
    amplitude. `KL(posterior || prior) = sum(a^2 + b^2)` exactly, whatever the
    prior. `kl_weight` times the mean over the batch of this rate, summed over
    all other axes, goes to `add_loss`.

    The layer draws in training. At inference it draws too by default, so that
    the validation loss of a VAE is its evidence lower bound; with
    `inference="mean"` it returns the posterior mean, for serving and export.

    Args:
        kl_weight: Initial weight of the rate in the loss (beta of a beta-VAE),
            at least 0. Afterwards the layer's non-trainable scalar variable of
            that name: assign to it to anneal, without retracing.
        num_samples: None, or the number S of draws from each posterior.
        inference: "sample" or "mean".
        seed: Integer seed of the noise, for reproducible draws. Two layers with
            the same seed draw the same noise.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        prior_mean: Prior mean, broadcastable to `(batch, ..., K)`; 0 if None.
        prior_stddev: Prior standard deviation, broadcastable to
            `(batch, ..., K)`; 1 if None. It may have any sign and may be 0: the
            loss never depends on the prior, which learns through z alone.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False
            add nothing to the loss.
        training: Whether the layer is in training.
        amplitude_mask: Another name of `mask`, under which Keras passes the
            amplitude's own mask on where a prior is given too.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        `(batch, ..., K)`, or `(batch, ..., S, K)` with `num_samples=S`.

    Raises:
        ValueError: An argument out of its range, an odd last axis, or a prior
            or mask whose shape does not fit the amplitude's.

    Example:

    >>> layer = keras_slashed.layers.SlashedNormalSampling(seed=0)
    >>> z = layer(keras.ops.ones((5, 6)))  # a rate of 6 nats each
    >>> tuple(z.shape), float(layer.losses[0])
    ((5, 3), 6.0)

    Reference:
        Slashed Normal, Eq. 14 to 16, 19 and 22.
    """

    def __init__(self, kl_weight=1.0, num_samples=None, inference="sample", seed=None, **kwargs):
        super().__init__(**kwargs)
        check_non_negative("kl_weight", kl_weight)
        check_num_samples(num_samples)
        check_choice("inference", inference, INFERENCES)
        self._initial_kl_weight = float(kl_weight)
        self.num_samples = num_samples
        self.inference = inference
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.rate_tracker = RateTracker()
        self.supports_masking = True

    def build(self, amplitude_shape, prior_mean_shape=None, prior_stddev_shape=None):
        _check_shapes(amplitude_shape, prior_mean_shape, prior_stddev_shape)
        self.kl_weight = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self._initial_kl_weight),
            dtype="float32",
            trainable=False,
            autocast=False,
            name="kl_weight",
        )
        self.rate_tracker.build(self)

    def call(
        self,
        amplitude,
        prior_mean=None,
        prior_stddev=None,
        mask=None,
        training=None,
        amplitude_mask=None,
    ):
        # With a prior beside the amplitude, Keras calls the latter's mask so.
        mask = amplitude_mask if mask is None else mask
        if mask is not None:
            check_mask_shape(mask.shape, amplitude.shape)
        rates = rate_of(amplitude)
        self.rate_tracker.update(rates, mask, training)
        self._add_kl_loss(rates, mask)

        # float32 or wider from here to the end: a float16 sample is rounded once
        z, stddev = relative_normal(amplitude)
        if self.num_samples is not None:
            z, stddev = ops.expand_dims(z, -2), ops.expand_dims(stddev, -2)
            repeat = [1] * (len(z.shape) - 2) + [self.num_samples, 1]
            z = ops.tile(z, repeat)
        if training or self.inference == "sample":
            noise = keras.random.normal(ops.shape(z), dtype=z.dtype, seed=self.seed_generator)
            z = z + stddev * noise
        if prior_stddev is not None:
            z = self._aligned("prior_stddev", prior_stddev, amplitude.shape, z.dtype) * z
        if prior_mean is not None:
            z = self._aligned("prior_mean", prior_mean, amplitude.shape, z.dtype) + z
        return cast_in_range(z, self.compute_dtype)

    def _add_kl_loss(self, rates, mask):
        if mask is not None:
            rates = ops.where(ops.cast(mask, "bool"), rates, 0.0)
        if len(rates.shape) > 1:
            rates = ops.sum(rates, axis=list(range(1, len(rates.shape))))
        self.add_loss(self.kl_weight * ops.cast(ops.mean(rates), "float32"))

    def _aligned(self, name, prior, amplitude_shape, dtype):
        """Return a prior that broadcasts with z, in z's dtype."""
        prior = ops.cast(to_float_tensor(prior), dtype)
        check_prior_shape(name, prior.shape, amplitude_shape)
        if self.num_samples is not None and len(prior.shape) > 1:
            prior = ops.expand_dims(prior, -2)
        return prior

    def compute_output_shape(self, amplitude_shape, prior_mean_shape=None, prior_stddev_shape=None):
        # Here too: Keras builds a layer in its first call alone.
        _check_shapes(amplitude_shape, prior_mean_shape, prior_stddev_shape)
        samples = () if self.num_samples is None else (self.num_samples,)
        return (*amplitude_shape[:-1], *samples, amplitude_shape[-1] // 2)

    def get_config(self):
        config = super().get_config()
        config.update(
            kl_weight=self._initial_kl_weight,
            num_samples=self.num_samples,
            inference=self.inference,
            seed=self.seed,
        )
        return config


def _check_shapes(amplitude_shape, prior_mean_shape, prior_stddev_shape):
    check_amplitude_shape(amplitude_shape)
    if prior_mean_shape is not None:
        check_prior_shape("prior_mean", prior_mean_shape, amplitude_shape)
    if prior_stddev_shape is not None:
        check_prior_shape("prior_stddev", prior_stddev_shape, amplitude_shape)
