"""The mean square of amplitudes, by which a normalization divides."""

import numbers

import keras
from keras import ops

from keras_slashed.backend import sum_over_replicas
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import finite_rate

# The sum over replicas adds up this share of each largest rate, so that it cannot overflow.
_SHARE = 2.0**-12
# XLA multiplies by the reciprocal, which would count as 0 if it were too small.
_LARGEST_UNIT = 2.0**124


def amplitude_mean_square(psi, normalization, part="both", mask=None, rate=None):
    """Return the mean square by which `normalize_rate` divides.

    The mean is over the instances of a wide amplitude of shape `(..., 2K)`, which is zero where
    masked. The result is a scalar for "batch" and has shape `(K,)` for "feature". It is 0 if all
    instances are masked. If there is a rate for each instance, which is also 0 where masked, the
    rates weight the mean. For
    "instance" the result is the square of each instance, of shape `(..., 1)`.
    """
    if normalization == "instance":
        return ops.sum(_squares(psi, part), axis=-1, keepdims=True)
    weights = relative_rate(rate, psi.dtype)
    return mean_of(*total_square(psi, normalization, part, mask, weights))


def total_square(psi, normalization, part="both", mask=None, rate=None):
    """Return the weighted sum of squares over instances, and the sum of their weights.

    The first is a scalar for "batch" and has shape `(K,)` for "feature". The second is a scalar.
    The weight of an instance is 1, or its rate if there is a rate for each instance, or 0 where
    masked.
    """
    square = _squares(psi, part)
    weight = None
    if is_of_each_instance(rate):
        weight = ops.cast(ops.abs(at_least_float32(rate)), square.dtype)
        square = square * ops.expand_dims(weight, -1)
    if mask is not None:
        mask = ops.cast(mask, square.dtype)
        weight = mask if weight is None else weight * mask
    # Only one sum: if there were two and the rows were on several devices, XLA would exchange
    # K numbers between the devices.
    axis = None if normalization == "batch" else list(range(len(square.shape) - 1))
    total = ops.sum(square, axis=axis)
    # `ops.mean` would compute float64 in float32 on torch.
    if weight is None:
        return total, ops.cast(ops.size(square), square.dtype) / square.shape[-1]
    return total, ops.sum(weight)


def joined_total_square(total, weight):
    """Return the `total_square` of the joined batch of all replicas.

    It takes one collective, of 2 numbers for "batch" and of K + 1 for "feature".
    """
    joined = ops.concatenate([ops.reshape(total, (-1,)), ops.reshape(weight, (1,))])
    joined = sum_over_replicas(joined)
    return ops.reshape(joined[:-1], tuple(total.shape)), joined[-1]


def mean_of(total, weight):
    """Return the mean square of a `total_square`, or 0 if the total weight is 0."""
    return total / ops.where(weight > 0.0, weight, 1.0)


def relative_rate(rate, dtype, synchronized=False):
    """Return the rates of instances relative to about their largest, and any other rate unchanged.

    Both weightings give the same mean square and the same gradients. Without this scaling, the
    sum of squares weighted by rates of 1e30 would overflow, and rates of 1e-40 would leave no
    weight.

    Args:
        rate: Number, float tensor or None.
        dtype: String. Dtype of the amplitude. The weights are at least as precise.
        synchronized: Boolean. Whether all replicas use the same unit, which takes one
            collective of one number.
    """
    if not is_of_each_instance(rate):
        return rate
    weights = ops.abs(finite_rate(rate))
    if keras.backend.standardize_dtype(dtype) == "float64":
        weights = ops.cast(weights, "float64")  # before the division, which would round
    # `initial` is the maximum of a batch without rows.
    unit = ops.cast(ops.max(ops.stop_gradient(weights), initial=0.0), weights.dtype)
    if synchronized:
        unit = sum_over_replicas(unit * _SHARE)
    return weights / ops.where(unit > 0.0, ops.clip(unit, 0.0, _LARGEST_UNIT), 1.0)


def unmasked(amplitude, mask):
    """Return the amplitude with zeros where the mask is False, with gradients of zero there.

    `where` instead of a product also removes NaN from masked positions.
    """
    if mask is None:
        return amplitude
    return ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), amplitude, 0.0)


def unmasked_rate(rate, mask):
    """Return rates of instances with 0 where the mask is False, and any other rate unchanged."""
    if mask is None or not is_of_each_instance(rate):
        return rate
    return ops.where(ops.cast(mask, "bool"), rate, ops.zeros_like(rate))


def is_of_each_instance(rate):
    """Return whether a rate (None, a number or a tensor) has a value for each instance."""
    return rate is not None and not isinstance(rate, numbers.Number) and len(rate.shape) > 0


def _squares(psi, part):
    """Return `a_k^2 + b_k^2`, or `a_k^2` for the part "mean", of shape `(..., K)`."""
    real, imaginary = ops.split(ops.square(psi), 2, axis=-1)
    return real + imaginary if part == "both" else real
