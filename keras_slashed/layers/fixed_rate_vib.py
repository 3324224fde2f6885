"""FixedRateVIB: an information bottleneck that carries a given rate."""

import keras

from keras_slashed.keras_faults.shared_layer import deserialized_layer
from keras_slashed.layers.amplitude_layer import LayerWithRate
from keras_slashed.layers.rate_normalization import RateNormalization
from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import clip_amplitude


def _read_only(part, name):
    """Return a property that reads an attribute of one of the layer's two sublayers."""
    text = f"The argument `{name}` of the layer."
    return property(lambda self: getattr(getattr(self, part), name), doc=text)


@keras.saving.register_keras_serializable(package="keras_slashed")
class FixedRateVIB(LayerWithRate):
    """A variational information bottleneck with a fixed rate.

    `RateNormalization` scales the amplitude to the rate, then `SlashedNormalSampling`
    draws from its posterior: `psi = sqrt(rate / s) (a + bi)`, where `s` is the mean square
    that `normalization` selects, and `z = sqrt(2) Re(psi) + stdplus(sqrt(2) Im(psi)) eps`
    with standard normal noise `eps`. Insert the layer where you would insert `Dropout`, in
    front of the layer that reads the latent. You set the rate directly: the loss needs no
    KL term, and there is no KL weight to tune.

    During training the layer draws. At inference it returns the posterior mean,
    `sqrt(2) Re(psi)`, which is deterministic, as `Dropout` is. With `inference="sample"` it
    also draws at inference, for predictions that are averaged over several draws.

    All instances have the same weight. The `sample_weight` and `class_weight` arguments of
    `fit()` affect neither the mean square, nor the mean rate in the loss, nor the rate that
    `RateMonitor` logs. A `mask` excludes instances from all three.

    Like `Dropout`, the layer depends on the `training` argument of its call. In a
    subclassed model, give `call` a `training` argument and pass it on. `RateMonitor` warns
    you if you forget it.

    Args:
        rate: Float, or a layer of `keras_slashed.rates`. Mean rate of an instance in nats. A
            float must be positive. A layer with a learned rate also requires a `kl_weight`
            other than 0. For a classifier of C classes, `log(C)` is a good first choice.
        normalization: String. One of "batch", "instance" or "feature". See
            `RateNormalization`.
        part: String. "both" to scale the whole amplitude, or "mean" to scale only its real
            part.
        momentum: Float in [0, 1). Momentum of the moving mean square that the layer uses at
            inference. See `RateNormalization`.
        num_samples: Integer or None. Number S of draws from each posterior.
        inference: String. "mean" to return the posterior mean at inference, or "sample" to
            draw.
        kl_weight: Float, 0 or more. Weight of the rate in the loss. Defaults to 0, since a
            fixed rate is a constant.
        synchronized: Boolean. Whether training on several devices uses the mean square of the
            joined batch of all devices. See `RateNormalization`. The noise always differs
            between devices.
        seed: Integer from 0 to 2^31 - 1, or None. Seed of the noise, for reproducible draws. For
            the forked workers of a PyTorch `DataLoader`, see `SlashedNormalSampling`. The seed
            generator is `layer.sampling.seed_generator`.
        free_bits: Float, 0 or more. Rate in nats up to which the loss does not penalize a
            latent dimension. See `SlashedNormalSampling`.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        rate: Float or float tensor. Rates that replace the rate of the layer for this call.
            Either a scalar, or a tensor of shape `(batch, ...)` with one rate for each
            instance. See `RateNormalization`.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False do not
            affect the mean square or the loss, and the layer draws them from the prior.
        training: Boolean. Whether the layer runs in training mode or in inference mode.
        amplitude_mask: Boolean tensor. Another name for `mask`. Keras passes the mask of the
            amplitude under this name if the call also has a rate.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        `(batch, ..., K)`, or `(batch, ..., S, K)` with `num_samples=S`.

    Attributes:
        rate_normalization: `RateNormalization`. Called on an amplitude, it returns the one from
            which the layer draws.
        sampling: `SlashedNormalSampling` without a prior, which draws and adds the loss.

    Raises:
        ValueError: If an argument is out of range, the last axis has an odd length, or the
            rates of a call do not have the required shape. On TensorFlow and JAX, also if the
            layer is called during training in a loop over time that is not unrolled.

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
        # The sublayers create some variables immediately, which need this layer's name scope.
        with keras.name_scope(self.name):
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
        """The `keras_slashed.rates` layer that provides the rate. Assign a number to change it."""
        return self.rate_normalization.rate

    @property
    def kl_weight(self):
        """The weight of the rate in the loss, a scalar variable. Assign a number to change it."""
        return self.sampling.kl_weight

    @property
    def inference(self):
        """What the layer returns at inference: "sample" or "mean", the posterior mean."""
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
        # Property setters do not suffice: Keras tracks a variable and PyTorch stores a layer first.
        if name == "rate":
            self.rate_normalization.rate = value
        elif name == "kl_weight":
            self.sampling.kl_weight = value
        else:
            super().__setattr__(name, value)

    def build(self, amplitude_shape, **other_shapes):
        # First the sampling: it owns the variable of the mean rates. A part that was called by
        # itself is built already.
        for part in (self.sampling, self.rate_normalization):
            if not part.built:
                part.build(amplitude_shape)
        self.input_spec = self.rate_normalization.input_spec

    def call(self, amplitude, rate=None, mask=None, training=None, amplitude_mask=None):
        amplitude, mask = self.checked(amplitude, mask, amplitude_mask)
        # The parts are not called as layers, but keep their names in graphs and profiles.
        with keras.name_scope(self.rate_normalization.name):
            psi = self.rate_normalization.normalized(amplitude, rate, mask, training)
        # The scaled amplitude may be out of range again.
        psi = clip_amplitude(psi, amplitude.dtype)
        with keras.name_scope(self.sampling.name):
            z = self.sampling.sampled(psi, mask, training)
        return cast_in_range(z, self.compute_dtype)

    def compute_mask(self, amplitude, mask=None):
        return self.sampling.compute_mask(amplitude, mask)

    def compute_output_shape(self, amplitude_shape, rate_shape=None):
        return self.sampling.compute_output_shape(amplitude_shape)

    def _saved_variables(self):
        return []  # the sublayers save them

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
