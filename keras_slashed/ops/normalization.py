"""Scaling of amplitudes to a rate (section 4.2 of the paper, Eq. 20)."""

import math
import numbers

import keras
from keras import ops

from keras_slashed.keras_faults.symbolic_operands import alike
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import finite_rate
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.mean_square import amplitude_mean_square
from keras_slashed.ops.mean_square import is_of_each_instance
from keras_slashed.ops.mean_square import unmasked
from keras_slashed.ops.mean_square import unmasked_rate
from keras_slashed.validation import NORMALIZATIONS
from keras_slashed.validation import PARTS
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_mask_shape
from keras_slashed.validation import check_rate
from keras_slashed.validation import check_rate_shape


def normalize_rate(
    amplitude, rate, normalization="batch", part="both", mean_square=None, mask=None
):
    """Scale amplitudes so that their mean rate is `rate`.

    - "batch": `psi sqrt(rate N) / ||psi||_F` over all N instances. Their mean rate is `rate`,
      and the encoder determines how the instances share it.
    - "instance": `psi sqrt(rate) / ||psi||`. Each instance has the rate `rate`.
    - "feature": `psi_k sqrt(rate / K) / sqrt(mean |psi_k|^2)`. Each latent dimension k (`a_k` and
      `b_k` together) has the mean rate `rate / K`.

    All leading axes of the amplitude are equivalent: each of their positions is an instance.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        rate: Float or float tensor. Target rate in nats. A float must be positive. A tensor is
            either a scalar, or has shape `(...)` with a rate `r_i` for each instance. With
            "instance", instance i then has the rate `r_i`. With "batch" and "feature", the mean
            square weights instance i by `r_i`, its amplitude is scaled by `sqrt(r_i)`, and the
            mean rate is the mean of the `r_i`.
        normalization: String. One of "batch", "instance" or "feature".
        part: String. "both" scales the whole amplitude. "mean" scales only the real part to
            `rate`. The imaginary part then stays as it is, and its square adds to the rate
            (Table 2, "Mean only").
        mean_square: Float tensor or None. Mean square of the raw amplitudes (of their real
            parts with `part="mean"`) that replaces the mean square of this batch. A scalar
            `mean ||psi||^2` for "batch", or shape `(K,)` with `mean |psi_k|^2` for "feature".
            `RateNormalization` keeps such a mean square for inference.
        mask: Boolean tensor of shape `(...)`, or None. Instances where it is False do not
            affect the mean square. Their output is zero, which is the prior at no rate,
            whatever the values of any instance.

    Returns:
        A tensor of the shape and dtype of `amplitude`, computed in float32 or wider. Norms are
        clamped at 1e-10 (2^-10 for float16) before the division, so that a zero amplitude stays
        zero and has a finite gradient.

    Raises:
        ValueError: If `rate` is a number that is not positive and finite, `normalization` or
            `part` is unknown, the last axis has an odd length, the amplitude is complex, or the
            shape of `mask`, `mean_square` or a tensor `rate` does not fit.

    Example:

    >>> amplitude = keras.ops.ones((3, 4))
    >>> scaled = keras_slashed.ops.normalize_rate(amplitude, 2.25)
    >>> float(keras_slashed.ops.rate(scaled)[0])
    2.25

    Reference:
        Slashed Normal, Eq. 20 and section 4.2; appendix E for the mean rate.
    """
    check_choice("normalization", normalization, NORMALIZATIONS)
    check_choice("part", part, PARTS)
    amplitude = to_amplitude(amplitude)
    if mask is not None:
        if not isinstance(mask, keras.KerasTensor):
            mask = ops.convert_to_tensor(mask)
        mask = ops.cast(mask, "bool")
        check_mask_shape(mask.shape, amplitude.shape)
    if mean_square is not None:
        mean_square = _given_mean_square(mean_square, normalization, amplitude.shape[-1] // 2)
    if isinstance(rate, numbers.Number):
        check_rate("rate", rate)
        amplitude, mean_square = alike(amplitude, mean_square)
    else:
        rate = to_float_tensor(rate)
        check_rate_shape(rate.shape, amplitude.shape)
        rate = unmasked_rate(rate, mask)
        amplitude, mean_square, rate = alike(amplitude, mean_square, rate)
    psi = unmasked(widen_amplitude(amplitude), mask)
    if mean_square is None:
        mean_square = amplitude_mean_square(psi, normalization, part, mask, rate)
    mean_square = ops.cast(mean_square, psi.dtype)
    scale = scale_to_rate(psi, rate, mean_square, normalization, amplitude.dtype)
    return cast_in_range(scaled(psi, scale, normalization, part, mask), amplitude.dtype)


def scale_to_rate(psi, rate, mean_square, normalization, dtype):
    """Return the factor that scales a wide amplitude, whose original dtype is `dtype`, to the rate.

    Its shape broadcasts to `(..., K)` for "feature", otherwise to `(..., 1)`.
    """
    parts = psi.shape[-1] // 2 if normalization == "feature" else 1
    dtype = keras.backend.standardize_dtype(dtype)
    # float16 cannot represent a smaller norm, nor its gradient, which is the reciprocal.
    smallest = 2.0**-20 if dtype == "float16" else 1e-20
    # Unlike that of sqrt(rate / x), the derivative of rsqrt of the clamped square does not
    # overflow at the clamp. The clamp is a tensor, since `ops.where` on torch would round it to
    # the dtype `floatx`.
    clamp = ops.ones_like(mean_square) * smallest
    scale = _root(rate, parts, psi.dtype) * ops.rsqrt(
        ops.where(mean_square < smallest, clamp, mean_square)
    )
    return ops.clip(scale, 0.0, _LARGEST_SCALE.get(dtype, _LARGEST_SCALE_ELSEWHERE))


def scaled(psi, scale, normalization, part, mask):
    """Return a wide amplitude, zero where masked, with all or only its real part scaled."""
    if part == "mean":
        real, imaginary = ops.split(psi, 2, axis=-1)
        psi = ops.concatenate([real * scale, imaginary], axis=-1)
    else:
        if normalization == "feature":
            scale = ops.concatenate([scale, scale], axis=-1)
        psi = psi * scale
    # Masked entries are 0 already, but a scale of NaN would make them NaN.
    return unmasked(psi, mask)


# The product of the largest amplitude and this scale is finite. The scale is also the gradient
# at zero, which would overflow in float16 at a rate of thousands of nats.
_LARGEST_SCALE = {"float16": 2.0**15, "float64": 2.0**900}
_LARGEST_SCALE_ELSEWHERE = 2.0**75

# The root of a smaller rate from a tensor has no gradient, since it would be infinite at 0.
_SMALLEST_SLOPED_RATE = 1e-12


def _root(rate, parts, dtype):
    """Return the root of a part of the rate, as a column if there is a rate for each instance."""
    if isinstance(rate, numbers.Number):
        return math.sqrt(rate / parts)
    # Cast first, since a quotient in float32 is not exact enough for float64 amplitudes.
    rate = ops.cast(finite_rate(rate), dtype) / parts
    is_small = ops.logical_not(rate >= _SMALLEST_SLOPED_RATE)
    small = ops.sqrt(ops.where(rate < 0.0, 0.0, ops.stop_gradient(rate)))
    root = ops.where(is_small, small, ops.sqrt(ops.where(is_small, 1.0, rate)))
    return ops.expand_dims(root, -1) if is_of_each_instance(rate) else root


def _given_mean_square(mean_square, normalization, num_latents):
    expected = {"batch": (), "feature": (num_latents,)}
    if normalization not in expected:
        raise ValueError(
            'Argument `mean_square` requires the normalization "batch" or "feature", since '
            '"instance" uses the norm of each instance. '
            f'Received: normalization="{normalization}"'
        )
    mean_square = to_float_tensor(mean_square)
    if tuple(mean_square.shape) != expected[normalization]:
        raise ValueError(
            f"Argument `mean_square` must have the shape {expected[normalization]} "
            f'with normalization "{normalization}". '
            f"Received: mean_square.shape={tuple(mean_square.shape)}"
        )
    return mean_square
