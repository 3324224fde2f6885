"""FixedRateVIB: an information bottleneck that carries a given rate."""

import keras

from keras_slashed.keras_faults.shared_layer import deserialized_layer
from keras_slashed.layers.amplitude_layer import AmplitudeLayer
from keras_slashed.layers.rate_normalization import RateNormalization
from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling
from keras_slashed.ops.floats import clip_amplitude


def _read_only(part, name):
    """Return a property that reads an attribute of one of the layer's two parts."""
    return property(lambda self: getattr(getattr(self, part), name))


@keras.saving.register_keras_serializable(package="keras_slashed")
class FixedRateVIB(AmplitudeLayer):
    """A variational information bottleneck of a fixed rate.

    `RateNormalization` scales the amplitude to the rate, then
    `SlashedNormalSampling` draws from its posterior. Put it before the layer
    that reads the latent, as one puts `Dropout`: the loss needs no KL term and
    no weight to tune, since the rate is what the layer is told.

    In training the layer draws. At inference it returns the posterior mean,
    deterministic as `Dropout` is; with `inference="sample"` it draws there too,
    for predictions averaged over draws.

    Every instance counts alike: `sample_weight` and `class_weight` of `fit()` enter neither the
    mean square, nor the rate's mean in the loss, nor the rate that `RateMonitor` logs. A `mask`
    leaves instances out of all three.

    As `Dropout`, the layer has to be told that it is in training: the `call` of a
    subclassed model takes an argument `training` and passes it on. `RateMonitor` warns
    where that was forgotten.

    Args:
        rate: Mean rate of an instance: a positive number of nats, or a layer of
            `keras_slashed.rates` for one that trains, which wants a `kl_weight`
            too. For a classifier of C classes `log(C)` is a good first choice.
        normalization: "batch", "instance" or "feature"; see
            `RateNormalization`.
        part: "both", or "mean" to scale the real part only.
        momentum: Float in [0, 1). Momentum of the moving mean square that inference uses;
            see `RateNormalization`.
        num_samples: None, or the number S of draws from each posterior.
        inference: "mean" or "sample".
        kl_weight: Weight of the rate in the loss, 0 by default: a fixed rate is
            a constant.
        synchronized: Whether, in training on several devices, the mean square is that
            of the joined batch of all devices; see `RateNormalization`. The noise
            differs between devices in any case.
        seed: Integer seed of the noise, from 0 to 2^31 - 1, for reproducible draws. In forked
            workers of a PyTorch `DataLoader` see `SlashedNormalSampling`; the seed generator
            is `layer.sampling.seed_generator`.
        free_bits: Rate in nats that each latent dimension has free in the loss; see
            `SlashedNormalSampling`.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        rate: Rates to use in place of the layer's: a scalar, or a tensor of shape
            `(batch, ...)`, one for each instance; see `RateNormalization`.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False
            count neither in a mean square nor in the loss, and draw from the prior.
        training: Whether the layer is in training.
        amplitude_mask: Another name of `mask`, under which Keras passes the
            amplitude's own mask on where a rate is given too.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        `(batch, ..., K)`, or `(batch, ..., S, K)` with `num_samples=S`.

    Raises:
        ValueError: An argument out of its range, an odd last axis, or rates of
            another shape.

    Example:

    >>> layer = keras_slashed.layers.FixedRateVIB(rate=2.3, seed=0)
    >>> z = layer(keras.ops.ones((32, 512)), training=True)
    >>> tuple(z.shape)
    (32, 256)

    Reference:
        Slashed Normal, section 6.1 and appendix E (Eq. 43 and 44).
    """

    def __init__(
        self,
        rate,
        normalization="batch",
        part="both",
        momentum=0.9,
        num_samples=None,
        inference="mean",
        kl_weight=0.0,
        synchronized=False,
        seed=None,
        free_bits=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        common = {"dtype": self.dtype_policy, "trainable": self.trainable}
        with keras.name_scope(self.name):  # of the variables that the parts make at once
            self.rate_normalization = RateNormalization(
                rate,
                normalization,
                part,
                momentum,
                synchronized,
                name="rate_normalization",
                **common,
            )
            self.sampling = SlashedNormalSampling(
                kl_weight, num_samples, inference, seed, free_bits, name="sampling", **common
            )
        self.sampling.rate_tracker = self.rate_normalization.rate_tracker = self.rate_tracker

    @property
    def rate(self):
        """The layer of `keras_slashed.rates` that yields the target, or a number to set it to."""
        return self.rate_normalization.rate

    @property
    def kl_weight(self):
        """The weight of the rate in the loss: a scalar variable, or a number to set it to."""
        return self.sampling.kl_weight

    @kl_weight.setter
    def kl_weight(self, value):
        self.sampling.kl_weight = value

    @property
    def inference(self):
        """What the layer returns at inference: "sample" or "mean"."""
        return self.sampling.inference

    @inference.setter
    def inference(self, value):
        self.sampling.inference = value

    normalization = _read_only("rate_normalization", "normalization")
    part = _read_only("rate_normalization", "part")
    momentum = _read_only("rate_normalization", "momentum")
    synchronized = _read_only("rate_normalization", "synchronized")
    num_samples = _read_only("sampling", "num_samples")
    seed = _read_only("sampling", "seed")
    free_bits = _read_only("sampling", "free_bits")

    def __setattr__(self, name, value):
        # Not a setter of the property: on PyTorch a layer as a value would bypass it.
        if name == "rate":
            self.rate_normalization.rate = value
        else:
            super().__setattr__(name, value)

    def build(self, amplitude_shape, **other_shapes):
        self.sampling.build(amplitude_shape)  # whose variable the mean rates are
        self.rate_normalization.build(amplitude_shape)
        self.input_spec = self.rate_normalization.input_spec

    def call(self, amplitude, rate=None, mask=None, training=None, amplitude_mask=None):
        amplitude, mask = self.checked(amplitude, mask, amplitude_mask)
        psi = self.rate_normalization.normalized(amplitude, rate, mask, training)
        # What it is scaled to may be out of range again.
        psi = clip_amplitude(psi, amplitude.dtype)
        return self.sampling.sampled(psi, mask, training)

    def compute_output_shape(self, amplitude_shape, rate_shape=None):
        return self.sampling.compute_output_shape(amplitude_shape)

    def _saved_variables(self):
        return []  # its parts have them

    def get_config(self):
        normalization = self.rate_normalization.get_config()
        sampling = self.sampling.get_config()
        own = ("rate", "normalization", "part", "momentum", "synchronized")
        config = super().get_config()
        config.update({key: normalization[key] for key in own})
        own = ("num_samples", "inference", "kl_weight", "seed", "free_bits")
        config.update({key: sampling[key] for key in own})
        return config

    @classmethod
    def from_config(cls, config):
        return super().from_config({**config, "rate": deserialized_layer(config["rate"])})
