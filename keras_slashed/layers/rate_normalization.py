"""RateNormalization: amplitudes scaled to a rate, with running statistics."""

import keras
from keras import ops

from keras_slashed.backend import kept_losses
from keras_slashed.keras_faults.shared_layer import count_owner
from keras_slashed.keras_faults.shared_layer import deserialized_layer
from keras_slashed.keras_faults.shared_layer import serialized_layer
from keras_slashed.layers.amplitude_layer import AmplitudeLayer
from keras_slashed.layers.recording import record
from keras_slashed.ops.amplitude import rate_of
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import finite_rate
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.mean_square import amplitude_mean_square
from keras_slashed.ops.mean_square import is_of_each_instance
from keras_slashed.ops.mean_square import joined_total_square
from keras_slashed.ops.mean_square import mean_of
from keras_slashed.ops.mean_square import relative_rate
from keras_slashed.ops.mean_square import total_square
from keras_slashed.ops.mean_square import unmasked
from keras_slashed.ops.normalization import scale_to_rate
from keras_slashed.ops.normalization import scaled
from keras_slashed.rates.fixed_rate import FixedRate
from keras_slashed.validation import NORMALIZATIONS
from keras_slashed.validation import PARTS
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_number
from keras_slashed.validation import check_rate_shape

# Of the weights of batches, which a sum of the largest rates would overflow.
_UNIT = 2.0**-64


@keras.saving.register_keras_serializable(package="keras_slashed")
class RateNormalization(AmplitudeLayer):
    """Scale amplitudes so that they carry a rate, as BatchNormalization scales.

    `psi <- psi sqrt(rate / s)`, where the mean square `s` is

    - "batch": the mean of `||psi||^2` over all instances of the batch,
    - "instance": each instance's own `||psi||^2`,
    - "feature": for each latent dimension k, K times the mean of
      `a_k^2 + b_k^2` over all instances.

    "batch" and "feature" use the batch's mean square in training and update a
    moving mean square; at inference they use the moving one:

    - in `fit()`, or called with `training=True`: the batch's mean square; the
      mean rate of the batch is `rate` to rounding;
    - in `evaluate()` and `predict()`, or called without `training`: the moving
      mean square, debiased so that it is right from the first training step
      on. Before that the layer passes amplitudes through unscaled;
    - frozen (`layer.trainable = False`): as at inference, in `fit()` too.

    All axes but the last are alike: each position of a sequence is an instance.

    Every instance counts alike: `sample_weight` and `class_weight` of `fit()` weight losses and
    metrics, and never reach a layer. To leave instances out of the mean square pass a `mask`,
    or rates of the call, which weight it.

    The moving mean square lags behind amplitudes that grow in training, so that the mean
    rate at inference is close to `rate` but not equal to it: somewhat higher while the
    learning rate is high. `keras_slashed.calibration.calibrate` sets it to the mean square
    of a data set; the rate at inference is then `rate` on these data, to rounding.

    A NaN in one instance makes the whole batch NaN in training with "batch", and its latent
    dimension with "feature"; with "instance", at inference or under a mask it stays in its
    row. What a mask leaves out is the prior in any case. An infinity counts as the largest
    amplitude. A batch with a NaN or an infinity leaves the moving mean square as it is.

    On several devices `synchronized=True` makes every number what one device would
    compute on the joined batch: amplitudes, gradients and the moving mean square, which
    is then the same on all devices. Without it:

    - TensorFlow, under a `tf.distribute` strategy: each replica normalizes its own
      share of the batch; the moving mean square is the mean of the replicas';
    - PyTorch, in processes under `DistributedDataParallel`: each process normalizes
      its own batch and keeps its own moving mean square, which drift apart, and the
      saved one is that of the process that saves. `True` adds up over the default
      process group, in which all processes must take the same steps;
    - JAX, under a `keras.distribution`: a step sees the joined batch in any case, and
      `synchronized` changes nothing.

    Args:
        rate: Mean rate of an instance: a positive number of nats, or a layer of
            `keras_slashed.rates`, whose weights become this layer's. A number
            becomes a `FixedRate`. Afterwards the attribute `rate` is that layer, and
            setting it to a number changes a fixed rate, in compiled functions too.
        normalization: "batch", "instance" or "feature".
        part: "both", or "mean" to scale the real part only; the imaginary
            part passes through and its square adds to the rate.
        momentum: Float in [0, 1). Momentum of the moving mean square, which inference
            alone uses. A larger one lags further behind amplitudes that grow, a smaller
            one follows the noise of single batches; `benchmarks/rate_at_inference/__main__.py`
            measures both.
        synchronized: Whether, in training on several devices, "batch" and "feature"
            take the mean square of the joined batch of all devices: one collective a
            step, of 3 numbers for "batch" and K + 2 for "feature", and a backward one.
            See below.
        **kwargs: As for any `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        rate: Rates to use in place of the layer's: a scalar, or a tensor of shape
            `(batch, ...)`, one for each instance, none negative. With "instance"
            each instance has that rate. With "batch" and "feature" the rates are
            weights: the mean square counts instance i by `r_i`, whose amplitude
            is scaled by `sqrt(r_i / s)`, and the mean rate is the mean of the r_i.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False
            count in no mean square and come out as zero amplitudes, the prior.
        training: Whether to use and update with the batch's mean square.
        amplitude_mask: Another name of `mask`, under which Keras passes the
            amplitude's own mask on where a rate is given too.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        The same.

    Raises:
        ValueError: An argument out of its range, an odd last axis, or rates of
            another shape.

    Example:

    >>> layer = keras_slashed.layers.RateNormalization(2.25)
    >>> amplitude = layer(keras.ops.ones((8, 4)), training=True)
    >>> float(keras_slashed.ops.rate(amplitude)[0])
    2.25

    Reference:
        Slashed Normal, Eq. 20, section 4.2 and appendix E.
    """

    def __init__(
        self,
        rate,
        normalization="batch",
        part="both",
        momentum=0.9,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._rate_is_a_number = not isinstance(rate, keras.layers.Layer)
        if self._rate_is_a_number:
            common = {"dtype": self.dtype_policy, "trainable": self.trainable}
            with keras.name_scope(self.name):
                rate = FixedRate(rate, name="rate", **common)
        else:
            count_owner(rate)
        self.rate = rate
        check_choice("normalization", normalization, NORMALIZATIONS)
        check_choice("part", part, PARTS)
        check_number("momentum", momentum, minimum=0, below=1)
        check_choice("synchronized", synchronized, (True, False))
        self.normalization = normalization
        self.part = part
        self.momentum = float(momentum)
        self.synchronized = bool(synchronized)

    def build(self, amplitude_shape, **other_shapes):
        check_amplitude_shape(amplitude_shape)
        if not self.rate.built:
            self.rate.build(None)
        num_latents = amplitude_shape[-1] // 2
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: amplitude_shape[-1]})
        if self.normalization != "instance":
            # Sums of a moving mean square and of the weight it has gathered:
            # their quotient is debiased.
            self.moving_mean_square = self._add_statistic(
                "moving_mean_square", () if self.normalization == "batch" else (num_latents,)
            )
            self.moving_weight = self._add_statistic("moving_weight", ())
        self.rate_tracker.build(self)

    def _add_statistic(self, name, shape):
        # A float16 or bfloat16 policy would lose small updates.
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="mean",
            name=name,
        )

    def __setattr__(self, name, value):
        # Not a property: on PyTorch a layer as a value would bypass its setter.
        if name == "rate" and hasattr(self, "rate"):
            self._assign_rate(value)
        else:
            super().__setattr__(name, value)

    def _assign_rate(self, value):
        if not isinstance(self.rate, FixedRate) or isinstance(value, keras.layers.Layer):
            raise ValueError(
                "The attribute `rate` can be set to a number of nats, in a layer whose rate is "
                f"fixed. The rate of layer {self.name!r} is a {type(self.rate).__name__}. "
                f"Received: rate={value!r}. For another kind of rate, make a new layer."
            )
        self.rate.assign(value)

    def call(self, amplitude, rate=None, mask=None, training=None, amplitude_mask=None):
        amplitude, mask = self.checked(amplitude, mask, amplitude_mask)
        psi = self.normalized(amplitude, rate, mask, training)
        amplitude = cast_in_range(psi, amplitude.dtype)
        with kept_losses(self):
            self.rate_tracker.update(rate_of(widen_amplitude(amplitude)), mask, training)
        return amplitude

    def normalized(self, amplitude, rate, mask, training):
        """Return a checked amplitude at the rate, wide: in float32 or float64, not rounded."""
        if rate is None:
            rate = self.rate()
        else:
            rate = to_float_tensor(rate)
            check_rate_shape(rate.shape, amplitude.shape)
        psi = unmasked(widen_amplitude(amplitude), mask)
        kind = self.normalization, self.part
        if self.normalization == "instance":
            scale = self._scale(psi, rate, amplitude_mean_square(psi, *kind), amplitude.dtype)
        elif training and self.trainable:
            with kept_losses(self):
                weights = relative_rate(rate, mask, self.synchronized)
                total, weight = total_square(psi, *kind, mask, weights)
                flaws = _number_of_flaws(amplitude, self.part, mask, total.dtype)
                if self.synchronized:
                    vector = ops.concatenate([ops.reshape(total, (-1,)), ops.reshape(flaws, (1,))])
                    vector, weight = joined_total_square(vector, weight)
                    total, flaws = ops.reshape(vector[:-1], tuple(total.shape)), vector[-1]
                mean_square = mean_of(total, weight)
                counts = ops.logical_and(weight > 0.0, flaws == 0)
                self._update_moving_mean_square(mean_square, counts)
            scale = self._scale(psi, rate, mean_square, amplitude.dtype)
        else:
            record(self, lambda: self._recorded_mean_square(amplitude, psi, mask, rate))
            scale = self._debiased_scale(psi, rate, amplitude.dtype)
        return scaled(psi, scale, *kind, mask)

    def _scale(self, psi, rate, mean_square, dtype):
        return scale_to_rate(psi, rate, mean_square, self.normalization, dtype)

    def _update_moving_mean_square(self, mean_square, counts):
        """Let a batch enter the average, unless it has nothing to say or is not finite."""
        mean_square = ops.cast(mean_square, self.moving_mean_square.dtype)
        # As latent dimensions share the weight, all of them count or none.
        counts = ops.logical_and(counts, ops.all(ops.isfinite(mean_square)))
        old = ops.convert_to_tensor(self.moving_mean_square)
        old_weight = ops.convert_to_tensor(self.moving_weight)
        # A file of earlier days may hold a NaN: the average starts over.
        sound = ops.all(ops.isfinite(old))
        start, start_weight = ops.where(sound, old, 0.0), ops.where(sound, old_weight, 0.0)
        step = 1.0 - self.momentum
        new = start + step * (mean_square - start)
        new_weight = start_weight + step * (1.0 - start_weight)
        self.moving_mean_square.assign(ops.where(counts, new, old))
        self.moving_weight.assign(ops.where(counts, new_weight, old_weight))

    def _recorded_mean_square(self, amplitude, psi, mask, rate):
        """Return a batch's mean square, NaN where one entry is not finite, and its weight."""
        kind = self.normalization, self.part, mask
        mean_square = mean_of(*total_square(psi, *kind, relative_rate(rate, mask)))
        flaws = _number_of_flaws(amplitude, self.part, mask, mean_square.dtype)
        of_each = is_of_each_instance(rate)
        _, weight = total_square(psi, *kind, finite_rate(rate) * _UNIT if of_each else rate)
        mean_square = ops.where(flaws == 0, mean_square, float("nan"))
        return mean_square, weight if of_each else weight * _UNIT

    def _debiased_scale(self, psi, rate, dtype):
        """Return the scale by the moving mean square, or 1 where there is none yet."""
        weight = ops.convert_to_tensor(self.moving_weight)
        seen = weight > 0.0
        mean_square = ops.convert_to_tensor(self.moving_mean_square)
        mean_square = ops.where(seen, mean_square / ops.where(seen, weight, 1.0), 1.0)
        scale = self._scale(psi, rate, ops.cast(mean_square, psi.dtype), dtype)
        return ops.where(seen, scale, ops.ones_like(scale))

    def compute_output_shape(self, amplitude_shape, rate_shape=None):
        return amplitude_shape

    def get_config(self):
        config = super().get_config()
        if self._rate_is_a_number:
            rate = float(self.rate)
        else:
            rate = serialized_layer(self.rate)
        config.update(
            rate=rate,
            normalization=self.normalization,
            part=self.part,
            momentum=self.momentum,
            synchronized=self.synchronized,
        )
        return config

    @classmethod
    def from_config(cls, config):
        return super().from_config({**config, "rate": deserialized_layer(config["rate"])})


def _number_of_flaws(amplitude, part, mask, dtype):
    """Return how many entries that a mean square is of are infinite or NaN."""
    flaws = ops.logical_not(ops.isfinite(unmasked(amplitude, mask)))
    if part == "mean":
        flaws = flaws[..., : amplitude.shape[-1] // 2]
    # A sum, to be added up over devices together with the squares.
    return ops.sum(ops.cast(flaws, dtype))
