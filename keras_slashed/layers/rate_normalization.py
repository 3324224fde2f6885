"""RateNormalization: scale amplitudes to a rate, with a moving mean square for inference."""

import numbers

import keras
from keras import ops

from keras_slashed.backend import kept_losses
from keras_slashed.hyperparameters import wide_dtype
from keras_slashed.keras_faults.recurrent_call import check_recurrent_statistics
from keras_slashed.keras_faults.recurrent_call import recurrent_call
from keras_slashed.keras_faults.shared_layer import count_owner
from keras_slashed.keras_faults.shared_layer import deserialized_layer
from keras_slashed.keras_faults.shared_layer import serialized_layer
from keras_slashed.layers.amplitude_layer import LayerWithRate
from keras_slashed.layers.recording import is_recording
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
from keras_slashed.ops.mean_square import unmasked_rate
from keras_slashed.ops.normalization import scale_to_rate
from keras_slashed.ops.normalization import scaled
from keras_slashed.rates.fixed_rate import FixedRate
from keras_slashed.rates.trainable_rate import TrainableRate
from keras_slashed.validation import NORMALIZATIONS
from keras_slashed.validation import PARTS
from keras_slashed.validation import check_amplitude_shape
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_number
from keras_slashed.validation import check_rate_shape

# Unit of the weights of batches. Without it, a sum of the largest rates would overflow.
_UNIT = 2.0**-64


@keras.saving.register_keras_serializable(package="keras_slashed")
class RateNormalization(LayerWithRate):
    """Scale amplitudes to a given rate, in the way `BatchNormalization` scales activations.

    `psi <- psi sqrt(rate / s)`, where the mean square `s` depends on `normalization`:

    - "batch": the mean of `||psi||^2` over all instances of the batch.
    - "instance": the `||psi||^2` of each instance.
    - "feature": for each latent dimension k, K times the mean of `a_k^2 + b_k^2` over all
      instances.

    With "batch" and "feature" the layer works differently during training and during inference:

    - During training (in `fit()`, or called with `training=True`), it uses the mean square of
      the batch and updates a moving mean square. The mean rate of the batch is `rate`, to
      rounding.
    - During inference (in `evaluate()` and `predict()`, or called without `training`), it uses
      the moving mean square, which is debiased and therefore right from the first training
      step on. Before the first step the layer returns amplitudes unscaled.
    - If the layer is frozen (`layer.trainable = False`), it works as during inference, in
      `fit()` too.

    All axes but the last are equivalent: each position of a sequence is an instance.

    All instances have the same weight. The `sample_weight` and `class_weight` arguments of
    `fit()` weight losses and metrics and do not reach any layer. To exclude instances from the
    mean square, pass a `mask`. To weight them, pass rates in the call.

    The moving mean square lags behind amplitudes that grow during training. The mean rate at
    inference is therefore close to `rate`, and somewhat higher while the learning rate is high.
    `keras_slashed.calibration.calibrate` sets the moving mean square to the mean square of a
    data set. The rate at inference on these data is then `rate`, to rounding.

    With "batch", a NaN in one instance makes the whole batch NaN during training. With
    "feature" it affects its latent dimension. With "instance", at inference or under a mask it
    affects only its own row. Masked positions are always the prior. An infinity counts as the
    largest amplitude. A batch with a NaN or an infinity does not change the moving mean square.

    With `synchronized=True`, training on several devices computes exactly what one device would
    compute on the joined batch: amplitudes, gradients, and the moving mean square, which is then
    the same on all devices. With `synchronized=False` the behavior depends on the backend:

    - TensorFlow, under a `tf.distribute` strategy: each replica normalizes its own part of the
      batch. The moving mean square is the mean over the replicas.
    - PyTorch, in processes under `DistributedDataParallel`: each process normalizes its own
      batch and updates its own moving mean square. These drift apart, and a saved file contains
      that of the process that saves. `synchronized=True` adds up over the default process
      group, in which all processes must take the same steps.
    - JAX, under a `keras.distribution`: a step always uses the joined batch, so that
      `synchronized` changes nothing.

    Args:
        rate: Float, or a layer of `keras_slashed.rates`. Mean rate of an instance in nats. A
            float must be positive, and becomes a `FixedRate`. The weights of a given layer
            become weights of this layer. The attribute `rate` is the rate layer. Assign a
            number to `rate` to change a fixed rate, in compiled functions too.
        normalization: String. One of "batch", "instance" or "feature".
        part: String. "both" to scale the whole amplitude, or "mean" to scale only the real
            part. The imaginary part then stays as it is, and its square adds to the rate.
        momentum: Float in [0, 1). Momentum of the moving mean square, which the layer uses only
            at inference. A larger momentum lags further behind amplitudes that grow. A smaller
            one follows the noise of single batches. `benchmarks/rate_at_inference/__main__.py`
            measures both.
        synchronized: Boolean. Whether training on several devices uses the mean square of the
            joined batch of all devices, with "batch" and "feature". A step then takes one
            collective of 3 numbers for "batch" or K + 2 numbers for "feature", and one in the
            backward pass. See above.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.

    Call arguments:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        rate: Float or float tensor. Rates that replace the rate of the layer for this call, none
            of them negative. Either a scalar, or a tensor of shape `(batch, ...)` with one rate
            `r_i` for each instance. With "instance", instance i has the rate `r_i`. With "batch"
            and "feature", the mean square `s` weights instance i by `r_i`, the layer scales its
            amplitude by `sqrt(r_i / s)`, and the mean rate is the mean of the `r_i`.
        mask: Boolean tensor of shape `(batch, ...)`. Positions where it is False do not affect
            the mean square. Their output is a zero amplitude, which is the prior.
        training: Boolean. Whether to normalize by the mean square of the batch and to update
            the moving mean square with it.
        amplitude_mask: Boolean tensor. Another name for `mask`. Keras passes the mask of the
            amplitude under this name if the call also has a rate.

    Input shape:
        `(batch, ..., 2K)`: real parts, then imaginary parts.

    Output shape:
        Same as the input shape.

    Raises:
        ValueError: If an argument is out of range, the last axis has an odd length, or the
            rates of a call do not have the required shape. On JAX, also if the layer is called
            during training in a loop over time that is not unrolled.

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
            if not isinstance(rate, (FixedRate, TrainableRate)):
                raise ValueError(
                    "Argument `rate` must be a number of nats or a layer of `keras_slashed.rates`. "
                    f"Received: rate={rate!r}"
                )
            count_owner(rate)
            if not self.trainable:
                rate.trainable = False
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
            # The quotient of the moving mean square and its accumulated weight is debiased.
            self.moving_mean_square = self._add_statistic(
                "moving_mean_square", () if self.normalization == "batch" else (num_latents,)
            )
            self.moving_weight = self._add_statistic("moving_weight", ())
        self.rate_tracker.build(self)

    def _add_statistic(self, name, shape):
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype=wide_dtype(self),  # small updates would be lost in float16 or bfloat16
            trainable=False,
            autocast=False,
            aggregation="mean",
            name=name,
        )

    def __setattr__(self, name, value):
        # A property does not suffice: PyTorch bypasses its setter if the value is a layer.
        if name == "rate" and hasattr(self, "rate"):
            self._assign_rate(value)
        else:
            super().__setattr__(name, value)

    def _assign_rate(self, value):
        if not isinstance(self.rate, FixedRate) or isinstance(value, keras.layers.Layer):
            raise ValueError(
                "The attribute `rate` can only be set to a number of nats, and only in a layer "
                f"with a fixed rate. The rate of layer {self.name!r} is a "
                f"{type(self.rate).__name__}. For another kind of rate, create a new layer. "
                f"Received: rate={value!r}"
            )
        self.rate.assign(value)

    def call(self, amplitude, rate=None, mask=None, training=None, amplitude_mask=None):
        amplitude, mask = self.checked(amplitude, mask, amplitude_mask)
        if training or self.rate_tracker.at_inference:
            check_recurrent_statistics(self, leave_as_tensors=False)
        psi = self.normalized(amplitude, rate, mask, training)
        amplitude = cast_in_range(psi, amplitude.dtype)
        with kept_losses(self):
            self.rate_tracker.update(rate_of(widen_amplitude(amplitude)), mask, training)
        return amplitude

    def normalized(self, amplitude, rate, mask, training):
        """Return a checked amplitude scaled to the rate, in float32 or float64 and not rounded."""
        if rate is None:
            rate = self.rate()
        elif isinstance(rate, numbers.Number):
            check_number("rate", rate, minimum=0, of_what="of nats")
        else:
            rate = to_float_tensor(rate)
            check_rate_shape(rate.shape, amplitude.shape)
            rate = unmasked_rate(rate, mask)
        psi = unmasked(widen_amplitude(amplitude), mask)
        kind = self.normalization, self.part
        if self.normalization == "instance":
            scale = self._scale(psi, rate, amplitude_mean_square(psi, *kind), amplitude.dtype)
        elif training and self.trainable:
            with kept_losses(self):
                weights = relative_rate(rate, psi.dtype, self.synchronized)
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
        """Update the moving mean square, unless no instance counts or the batch is not finite."""
        if is_recording() or recurrent_call() == "shape":
            return
        mean_square = ops.cast(mean_square, self.moving_mean_square.dtype)
        # Latent dimensions share the weight, so that either all of them count or none.
        counts = ops.logical_and(counts, ops.all(ops.isfinite(mean_square)))
        old = ops.convert_to_tensor(self.moving_mean_square)
        old_weight = ops.convert_to_tensor(self.moving_weight)
        # A file of an earlier version may contain a NaN. The average then starts over.
        sound = ops.all(ops.isfinite(old))
        start, start_weight = ops.where(sound, old, 0.0), ops.where(sound, old_weight, 0.0)
        step = 1.0 - self.momentum
        new = start + step * (mean_square - start)
        new_weight = start_weight + step * (1.0 - start_weight)
        self.moving_mean_square.assign(ops.where(counts, new, old))
        self.moving_weight.assign(ops.where(counts, new_weight, old_weight))

    def _recorded_mean_square(self, amplitude, psi, mask, rate):
        """Return the mean square of a batch (NaN if an entry is not finite) and its weight."""
        kind = self.normalization, self.part, mask
        mean_square = mean_of(*total_square(psi, *kind, relative_rate(rate, psi.dtype)))
        flaws = _number_of_flaws(amplitude, self.part, mask, mean_square.dtype)
        of_each = is_of_each_instance(rate)
        _, weight = total_square(psi, *kind, finite_rate(rate) * _UNIT if of_each else rate)
        mean_square = ops.where(flaws == 0, mean_square, float("nan"))
        return mean_square, weight if of_each else weight * _UNIT

    def _debiased_scale(self, psi, rate, dtype):
        """Return the scale from the moving mean square, or 1 before the first training step."""
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
    """Return the number of infinite or NaN entries among those of a mean square."""
    flaws = ops.logical_not(ops.isfinite(unmasked(amplitude, mask)))
    if part == "mean":
        flaws = flaws[..., : amplitude.shape[-1] // 2]
    # A sum of floats, so that one collective adds it up together with the squares.
    return ops.sum(ops.cast(flaws, dtype))
