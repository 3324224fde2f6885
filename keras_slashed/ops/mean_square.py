"""The mean square of amplitudes: what a normalization to a rate divides by."""

import numbers

from keras import ops

from keras_slashed.backend import sum_over_replicas
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import finite_rate

# What is added up of each replica's largest rate, which may be the largest number.
_SHARE = 2.0**-12
# XLA multiplies by the reciprocal, which must not be so small that it counts as 0.
_LARGEST_UNIT = 2.0**124


def amplitude_mean_square(psi, normalization, part="both", mask=None, rate=None):
    """Return the mean square that `normalize_rate` divides by.

    Over instances, for a wide amplitude of shape `(..., 2K)`, zero where masked: a scalar
    for "batch", shape `(K,)` for "feature"; 0 if all are masked. For "instance" each one's
    own square, `(..., 1)`. Weighted by the rate, where that has one for each instance.
    """
    if normalization == "instance":
        return ops.sum(_squares(psi, part), axis=-1, keepdims=True)
    weights = relative_rate(rate, mask)
    return mean_of(*total_square(psi, normalization, part, mask, weights))


def total_square(psi, normalization, part="both", mask=None, rate=None):
    """Return the weighted sum of squares over instances, and the sum of their weights.

    For "batch" two scalars, for "feature" one of shape `(K,)` and a scalar. An
    instance weighs 1, or its rate where that has one for each, or 0 where masked.
    """
    square = _squares(psi, part)
    weight = None
    if is_of_each_instance(rate):
        weight = ops.cast(ops.abs(at_least_float32(rate)), square.dtype)
        square = square * ops.expand_dims(weight, -1)
    if mask is not None:
        mask = ops.cast(mask, square.dtype)
        weight = mask if weight is None else weight * mask
    # One sum: of two, with rows on several devices, XLA sends the K numbers between them.
    axis = None if normalization == "batch" else list(range(len(square.shape) - 1))
    total = ops.sum(square, axis=axis)
    # Not `ops.mean`: on torch it computes float64 in float32.
    if weight is None:
        return total, ops.cast(ops.size(square), square.dtype) / square.shape[-1]
    return total, ops.sum(weight)


def joined_total_square(total, weight):
    """Return what `total_square` is of the batches of all replicas together.

    One collective: of 2 numbers for "batch", of K + 1 for "feature".
    """
    joined = ops.concatenate([ops.reshape(total, (-1,)), ops.reshape(weight, (1,))])
    joined = sum_over_replicas(joined)
    return ops.reshape(joined[:-1], tuple(total.shape)), joined[-1]


def mean_of(total, weight):
    """Return the mean square of a `total_square`; 0 where nothing has a weight."""
    return total / ops.where(weight > 0.0, weight, 1.0)


def relative_rate(rate, mask=None, synchronized=False):
    """Return rates of instances in units of about their largest; any other rate as it is.

    A mean square weighted by either is the same, and its gradients are, but the squares
    times rates of 1e30 overflow in a sum, and rates of 1e-40 leave no weight.

    Args:
        rate: None, a number or a tensor.
        mask: Boolean tensor of the shape of the rates, or None. Where it is False a rate
            does not count, and is 0.
        synchronized: Whether all replicas have one unit: one collective of a number.
    """
    if not is_of_each_instance(rate):
        return rate
    weights = ops.abs(finite_rate(rate))
    if mask is not None:
        weights = ops.where(ops.cast(mask, "bool"), weights, 0.0)
    # A batch without rows has no maximum of its own.
    unit = ops.cast(ops.max(ops.stop_gradient(weights), initial=0.0), weights.dtype)
    if synchronized:
        unit = sum_over_replicas(unit * _SHARE)
    return weights / ops.where(unit > 0.0, ops.clip(unit, 0.0, _LARGEST_UNIT), 1.0)


def unmasked(amplitude, mask):
    """Return the amplitude with zeros where the mask is False, in gradients as well.

    `where` rather than a product, so that what is masked may even be NaN.
    """
    if mask is None:
        return amplitude
    return ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), amplitude, 0.0)


def is_of_each_instance(rate):
    """Return whether a rate, None, a number or a tensor, has one for each instance."""
    return rate is not None and not isinstance(rate, numbers.Number) and len(rate.shape) > 0


def _squares(psi, part):
    """Return `a_k^2 + b_k^2`, or `a_k^2` for the part "mean", of shape `(..., K)`."""
    real, imaginary = ops.split(ops.square(psi), 2, axis=-1)
    return real + imaginary if part == "both" else real
