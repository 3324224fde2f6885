"""Scaling amplitudes to a rate (section 4.2 of the paper, Eq. 20)."""

import math
import numbers

import keras
from keras import ops

from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import finite_rate
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.mean_square import amplitude_mean_square
from keras_slashed.ops.mean_square import is_of_each_instance
from keras_slashed.ops.mean_square import unmasked
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

    - "batch": `psi sqrt(rate N) / ||psi||_F` over all N instances: their mean
      rate is `rate`, shared out among them as the encoder likes.
    - "instance": `psi sqrt(rate) / ||psi||`: each instance has the rate `rate`.
    - "feature": `psi_k sqrt(rate / K) / sqrt(mean |psi_k|^2)`: each latent
      dimension k (`a_k` and `b_k` together) has the mean rate `rate / K`.

    The leading axes of the amplitude are all alike instances.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        rate: Target rate in nats: a positive number, or a tensor: a scalar, or
            of shape `(...)`, a rate r_i for each instance. With "instance" each has
            then that rate itself. With "batch" and "feature" it is a weight: the
            mean square is the one weighted by r_i, instance i is scaled by
            `sqrt(r_i)`, and the mean rate is the mean of the r_i.
        normalization: "batch", "instance" or "feature".
        part: "both" scales the whole amplitude; "mean" scales the real part
            alone to `rate`, and the imaginary part passes through and adds its
            own square to the rate (Table 2, "Mean only").
        mean_square: A mean square of the raw amplitudes (of their real parts
            for `part="mean"`) to use in place of this batch's: a scalar,
            `mean ||psi||^2`, for "batch"; of shape `(K,)`, `mean |psi_k|^2`, for
            "feature". What `RateNormalization` keeps for inference.
        mask: Boolean tensor of shape `(...)`. Instances where it is False are
            left out: they count in no mean square, and come out as zeros, that
            is as the prior, at no rate, whatever they or other instances hold.

    Returns:
        A tensor of the shape and dtype of `amplitude`, computed in float32 or
        wider. Norms are clamped at 1e-10 (2^-10 for float16) before they
        divide: a zero amplitude stays zero, with a finite gradient.

    Raises:
        ValueError: `rate` is a number and not positive and finite, an unknown
            `normalization` or `part`, an odd last axis, a `mask`,
            `mean_square` or tensor `rate` that does not fit.

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
            mask = ops.convert_to_tensor(mask, "bool")
        check_mask_shape(mask.shape, amplitude.shape)
    if isinstance(rate, numbers.Number):
        check_rate("rate", rate)
    else:
        rate = to_float_tensor(rate)
        check_rate_shape(rate.shape, amplitude.shape)
    psi = unmasked(widen_amplitude(amplitude), mask)
    if mean_square is None:
        mean_square = amplitude_mean_square(psi, normalization, part, mask, rate)
    else:
        mean_square = _given_mean_square(mean_square, normalization, amplitude.shape[-1] // 2)
        mean_square = ops.cast(mean_square, psi.dtype)
    scale = scale_to_rate(psi, rate, mean_square, normalization, amplitude.dtype)
    return cast_in_range(scaled(psi, scale, normalization, part, mask), amplitude.dtype)


def scale_to_rate(psi, rate, mean_square, normalization, dtype):
    """Return what a wide amplitude, which came in `dtype`, is multiplied by.

    Of a shape that broadcasts to `(..., K)` for "feature", else to `(..., 1)`.
    """
    if normalization == "feature":
        rate = rate / (psi.shape[-1] // 2)
    dtype = keras.backend.standardize_dtype(dtype)
    # float16 holds neither a smaller norm nor, as the reciprocal, its gradient.
    smallest = 2.0**-20 if dtype == "float16" else 1e-20
    # rsqrt of the clamped square: unlike sqrt(rate / x), its derivative does
    # not overflow at the clamp.
    scale = _root(rate, psi.dtype) * ops.rsqrt(
        ops.where(mean_square < smallest, smallest, mean_square)
    )
    return ops.clip(scale, 0.0, _LARGEST_SCALE.get(dtype, _LARGEST_SCALE_ELSEWHERE))


def scaled(psi, scale, normalization, part, mask):
    """Return a wide amplitude, zero where masked, times a scale, or its real part alone."""
    if part == "mean":
        real, imaginary = ops.split(psi, 2, axis=-1)
        psi = ops.concatenate([real * scale, imaginary], axis=-1)
    else:
        if normalization == "feature":
            scale = ops.concatenate([scale, scale], axis=-1)
        psi = psi * scale
    # What is masked is 0 already, but not times a scale of NaN.
    return unmasked(psi, mask)


# The largest amplitude times this is finite. It is the gradient at zero as well, which
# thousands of nats would overflow in float16.
_LARGEST_SCALE = {"float16": 2.0**15, "float64": 2.0**900}
_LARGEST_SCALE_ELSEWHERE = 2.0**75

# A smaller rate from a tensor has a root without a slope, which would be infinite at 0.
_SMALLEST_SLOPED_RATE = 1e-12


def _root(rate, dtype):
    """Return the square root of the rate, a column if it has one for each instance."""
    if isinstance(rate, numbers.Number):
        return math.sqrt(rate)
    # Wide first: a float32 rate would else round the root of float64 amplitudes.
    rate = ops.cast(finite_rate(rate), dtype)
    is_small = ops.logical_not(rate >= _SMALLEST_SLOPED_RATE)
    small = ops.sqrt(ops.where(rate > 0.0, ops.stop_gradient(rate), 0.0))
    root = ops.where(is_small, small, ops.sqrt(ops.where(is_small, 1.0, rate)))
    return ops.expand_dims(root, -1) if is_of_each_instance(rate) else root


def _given_mean_square(mean_square, normalization, num_latents):
    expected = {"batch": (), "feature": (num_latents,)}
    if normalization not in expected:
        raise ValueError(
            'Argument `mean_square` goes with normalization "batch" or "feature": '
            '"instance" takes the norm of each instance itself.'
        )
    mean_square = to_float_tensor(mean_square)
    if tuple(mean_square.shape) != expected[normalization]:
        raise ValueError(
            f"Argument `mean_square` must have the shape {expected[normalization]} "
            f'for normalization "{normalization}". '
            f"Received: mean_square.shape={tuple(mean_square.shape)}"
        )
    return mean_square
