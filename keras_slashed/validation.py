"""Checks of arguments: what came, and what was expected."""

import math
import numbers

import numpy as np
from keras import tree

from keras_slashed.one_tensor import check_one_amplitude_shape

NORMALIZATIONS = ("batch", "instance", "feature")
PARTS = ("both", "mean")
# The variables that numbers become are float32: beyond this they would be infinite.
_LARGEST = float(np.finfo("float32").max)


def check_choice(name, value, choices):
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"Argument `{name}` must be one of {expected}. Received: {name}={value!r}")


def check_rate(name, value):
    """Raise a ValueError unless a number is a positive finite rate."""
    if not _is_real(value) or not 0 < value <= _LARGEST:
        raise ValueError(
            f"Argument `{name}` must be a positive, finite number of nats. "
            f"Received: {name}={value!r}"
        )


def check_finite(name, value):
    """Raise a ValueError unless it is a finite number."""
    if not _is_real(value) or not math.isfinite(value):
        raise ValueError(f"Argument `{name}` must be a finite number. Received: {name}={value!r}")


def check_positive(name, value):
    """Raise a ValueError unless a number is positive and finite."""
    if not _is_real(value) or not 0 < value <= _LARGEST:
        raise ValueError(
            f"Argument `{name}` must be a positive, finite number. Received: {name}={value!r}"
        )


def check_at_least_one(name, value):
    """Raise a ValueError unless a number is finite and at least 1."""
    if not _is_real(value) or not 1 <= value < math.inf:
        raise ValueError(
            f"Argument `{name}` must be a finite number, 1 or more. Received: {name}={value!r}"
        )


def check_non_negative(name, value):
    """Raise a ValueError unless a number is finite and at least 0."""
    if not _is_real(value) or not 0 <= value <= _LARGEST:
        raise ValueError(
            f"Argument `{name}` must be a finite number, 0 or more. Received: {name}={value!r}"
        )


def check_momentum(value):
    """Raise a ValueError unless a number lies in [0, 1)."""
    if not _is_real(value) or not 0 <= value < 1:
        raise ValueError(
            f"Argument `momentum` must be at least 0 and less than 1. Received: momentum={value!r}"
        )


def check_positive_integer(name, value):
    """Raise a ValueError unless it is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(
            f"Argument `{name}` must be a positive integer. Received: {name}={value!r}"
        )


def check_fraction(name, value):
    """Raise a ValueError unless a number lies in (0, 1]."""
    if not _is_real(value) or not 0 < value <= 1:
        raise ValueError(
            f"Argument `{name}` must be more than 0 and at most 1. Received: {name}={value!r}"
        )


def check_num_samples(value):
    """Raise a ValueError unless it is None or a positive integer."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(
            "Argument `num_samples` must be None or a positive integer. "
            f"Received: num_samples={value!r}"
        )


def check_seed(value):
    """Raise a ValueError unless it is None or an integer that every backend has as a seed."""
    if value is None:
        return
    # 31 bits: some backends keep a seed in signed integers.
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or not 0 <= value < 2**31:
        raise ValueError(
            "Argument `seed` must be None or an integer of 0 to 2**31 - 1. "
            f"Received: seed={value!r}"
        )


def check_amplitude_shape(shape):
    """Raise a ValueError unless a shape is `(..., 2K)` with a known K > 0."""
    check_one_amplitude_shape(shape)
    if len(shape) == 0 or not shape[-1] or shape[-1] % 2:
        raise ValueError(
            "An amplitude must have the shape (..., 2K): a last axis of known, even "
            "length, the real parts and then the imaginary parts of K latent "
            f"dimensions. Received: amplitude.shape={tuple(shape)}"
        )


def check_prior_shape(name, shape, amplitude_shape, prior_scale_shape=None):
    """Raise a ValueError unless a shape broadcasts to `(..., K)`, or with a scale `(..., D)`."""
    scaled = prior_scale_shape is not None
    size = prior_scale_shape[-2] if scaled else amplitude_shape[-1] // 2
    expected = (*amplitude_shape[:-1], size)
    if not _may_broadcast_to(shape, expected):
        raise ValueError(
            f"Argument `{name}` must broadcast to the posterior's shape {expected}, "
            f"from an amplitude of shape {tuple(amplitude_shape)}. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_matrix_shape(name, shape, amplitude_shape, square=False, any_batch=False):
    """Raise a ValueError unless a shape is `(..., D, K)`, or with `square` `(..., K, K)`.

    With `any_batch` its leading axes may exceed those of the amplitude.
    """
    size = amplitude_shape[-1] // 2
    if (
        len(shape) < 2
        or shape[-1] != size
        or (square and shape[-2] != size)
        or shape[-2] in (None, 0)
        or not (any_batch or _may_broadcast_to(shape[:-2], amplitude_shape[:-1]))
    ):
        rows = size if square else "D"
        raise ValueError(
            f"Argument `{name}` must be a matrix (..., {rows}, {size}) for the {size} latent "
            f"dimensions of an amplitude of shape {tuple(amplitude_shape)}, with leading axes "
            f"that broadcast with the amplitude's. Received: {name}.shape={tuple(shape)}"
        )


def check_one_prior_scale(prior_stddev, prior_scale):
    """Raise a ValueError if a prior has both kinds of scale."""
    if prior_stddev is not None and prior_scale is not None:
        raise ValueError(
            "Only one of `prior_stddev` and `prior_scale` may be given: the former is the "
            "diagonal of the latter. Received both"
        )


def check_vector_shape(name, shape, size):
    """Raise a ValueError unless the last axis of a shape is `size`, or 1, or missing."""
    if len(shape) > 0 and shape[-1] not in (1, size):
        raise ValueError(
            f"Argument `{name}` must have a last axis of {size} dimensions, or broadcast to it. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_batches(**shapes):
    """Return the shape that shapes broadcast to; raise a ValueError if they do not."""
    batch = ()
    for shape in shapes.values():
        batch = _broadcast(batch, tuple(shape))
        if batch is None:
            received = ", ".join(f"{name}: {tuple(shape)}" for name, shape in shapes.items())
            raise ValueError(
                "The leading axes of an amplitude, its rotation, its prior and a `z` must "
                f"broadcast together. Received leading axes: {received}"
            )
    return batch


def check_event_shape(shape, batch, size):
    """Raise a ValueError unless the shape of a `z` fits the batch of a distribution."""
    if len(shape) == 0 or shape[-1] != size or _broadcast(tuple(shape[:-1]), batch) is None:
        raise ValueError(
            f"Argument `z` must have the shape (..., {size}), and leading axes that broadcast with "
            f"the distribution's batch {tuple(batch)}, or begin with it as draws do. "
            f"Received: z.shape={tuple(shape)}"
        )


def check_reflections_shape(shape):
    """Raise a ValueError unless a shape is `(..., R, K)` with known R <= K."""
    if len(shape) < 2 or shape[-2] is None or not shape[-1] or shape[-2] > shape[-1]:
        raise ValueError(
            "Argument `vectors` must have the shape (..., R, K): R vectors of K entries, one for "
            "each reflection, both numbers known and R at most K. "
            f"Received: vectors.shape={tuple(shape)}"
        )


def check_reflected_shape(shape, vectors_shape):
    """Return the leading axes of reflected vectors; raise a ValueError if they do not fit."""
    batch = None
    if len(shape) > 0 and shape[-1] == vectors_shape[-1]:
        batch = _broadcast(tuple(shape[:-1]), tuple(vectors_shape[:-2]))
    if batch is None:
        raise ValueError(
            f"Argument `x` must have the shape (..., {vectors_shape[-1]}), and leading axes that "
            f"broadcast with those of `vectors`. Received: x.shape={tuple(shape)}, "
            f"vectors.shape={tuple(vectors_shape)}"
        )
    return batch


def check_mask_shape(shape, amplitude_shape):
    """Raise a ValueError unless a mask has the amplitude's leading axes."""
    expected = tuple(amplitude_shape[:-1])
    if not _may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `mask` must have the amplitude's shape without its last axis, "
            f"{expected}. Received: mask.shape={tuple(shape)}"
        )


def check_rate_shape(shape, amplitude_shape):
    """Raise a ValueError unless a rate is a scalar, or one for each instance."""
    expected = tuple(amplitude_shape[:-1])
    if len(shape) and not _may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `rate` must be a scalar, or have the amplitude's shape without its last "
            f"axis, {expected}. Received: rate.shape={tuple(shape)}"
        )


def check_same_latents(mean_shape, stddev_shape):
    """Raise a ValueError unless a mean and a standard deviation broadcast together."""
    aligned = zip(reversed(mean_shape), reversed(stddev_shape))
    if len(mean_shape) == 0 or not all(
        1 in (one, other) or _may_be_equal(one, other) for one, other in aligned
    ):
        raise ValueError(
            "Arguments `mean` and `stddev` must broadcast together, and `mean` must have a last "
            f"axis, of the K latent dimensions. Received: mean.shape={tuple(mean_shape)}, "
            f"stddev.shape={tuple(stddev_shape)}"
        )


def check_sample_weight_shape(shape, expected):
    """Raise a ValueError unless the axes of sample weights are the first of the instances'."""
    expected = tuple(expected)
    if not _may_be_same_shape(shape, expected[: len(shape)]):
        raise ValueError(
            "Argument `sample_weight` must have the axes of the instances, "
            f"{expected}, or the first of them. Received: sample_weight.shape={tuple(shape)}"
        )


def check_log_weights_shape(shape):
    """Raise a ValueError unless a shape has an axis of instances and a known one of draws."""
    if len(shape) < 2 or not shape[-1]:
        raise ValueError(
            "Argument `log_weights` must have the shape (batch, ..., S), with a known number S of "
            f"draws of each instance. Received: log_weights.shape={tuple(shape)}"
        )


def check_log_likelihood_shape(shape, z_shape):
    """Raise a ValueError unless a log-likelihood is one number for each row of z."""
    if not _may_be_same_shape(shape, z_shape[:1]):
        raise ValueError(
            "`log_likelihood(x, z)` must return one number for each row of z, of shape "
            f"{tuple(z_shape)}. Received: a tensor of shape {tuple(shape)}"
        )


def check_same_lengths(arrays):
    """Return the length of the first axis of nested arrays; raise a ValueError if they differ."""
    lengths = {int(array.shape[0]) for array in tree.flatten(arrays)}
    if len(lengths) != 1:
        raise ValueError(
            "The arrays of argument `x` must have first axes of one length. "
            f"Received lengths: {sorted(lengths)}"
        )
    return lengths.pop()


def _may_broadcast_to(shape, expected):
    return len(shape) <= len(expected) and all(
        given == 1 or _may_be_equal(given, wanted)
        for given, wanted in zip(reversed(shape), reversed(expected))
    )


def _broadcast(shape, other):
    """Return the shape that two broadcast to, or None if they do not."""
    length = max(len(shape), len(other))
    result = []
    for one, two in zip((1,) * (length - len(shape)) + shape, (1,) * (length - len(other)) + other):
        if 1 not in (one, two) and not _may_be_equal(one, two):
            return None
        # An unknown length may be 1, but not beside another.
        result.append(two if one in (1, None) and two != 1 else one)
    return tuple(result)


def _may_be_same_shape(shape, expected):
    return len(shape) == len(expected) and all(map(_may_be_equal, shape, expected))


def _may_be_equal(length, other):
    """Compare the lengths of two axes, either of which may be unknown."""
    return length is None or other is None or length == other


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
