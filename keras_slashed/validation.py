"""Checks of arguments, whose errors name the expected and the received value."""

import numbers
import operator

import numpy as np

from keras_slashed.one_tensor import check_one_amplitude_shape

NORMALIZATIONS = ("batch", "instance", "feature")
PARTS = ("both", "mean")
# Numbers are stored in float32 variables, in which larger ones would be infinite and smaller
# positive ones 0.
_LARGEST = float(np.finfo("float32").max)
_SMALLEST = float(np.finfo("float32").tiny)


def check_choice(name, value, choices):
    """Raise a ValueError unless `value` is one of `choices`."""
    # An array would be compared entry by entry.
    if getattr(value, "shape", ()) != () or value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"Argument `{name}` must be one of {expected}. Received: {name}={value!r}")


def check_number(name, value, minimum=None, maximum=None, *, above=None, below=None, of_what=""):
    """Raise a ValueError unless a value is a finite number within bounds.

    Args:
        name: String. Name of the argument.
        value: The received value.
        minimum: Number or None. The value must be at least this.
        maximum: Number or None. The value must be at most this.
        above: Number or None. The value must be more than this.
        below: Number or None. The value must be less than this.
        of_what: String. Unit of the number in the message, for example "of nats".
    """
    bounds = [
        ("at least", minimum, operator.ge),
        ("more than", above, operator.gt),
        ("at most", maximum, operator.le),
        ("less than", below, operator.lt),
    ]
    bounds = [bound for bound in bounds if bound[1] is not None]
    if (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and abs(value) <= _LARGEST
        and (above != 0 or value >= _SMALLEST)
        and all(holds(value, bound) for _, bound, holds in bounds)
    ):
        return
    expected = " and ".join(f"{words} {bound}" for words, bound, _ in bounds)
    if len(bounds) < 2:
        expected = f"finite number {of_what}".strip()
        expected = f"a positive, {expected}" if above == 0 else f"a {expected}"
        expected += "" if minimum is None else f", {minimum} or more"
    raise ValueError(f"Argument `{name}` must be {expected}. Received: {name}={value!r}")


def check_rate(name, value):
    """Raise a ValueError unless a value is a positive, finite number of nats."""
    check_number(name, value, above=0, of_what="of nats")


def check_positive_integer(name, value):
    """Raise a ValueError unless a value is an integer of at least 1."""
    if not _is_integer(value) or value < 1:
        raise ValueError(
            f"Argument `{name}` must be a positive integer. Received: {name}={value!r}"
        )


def check_num_samples(value):
    """Raise a ValueError unless a value is None or a positive integer."""
    if value is not None and (not _is_integer(value) or value < 1):
        raise ValueError(
            "Argument `num_samples` must be None or a positive integer. "
            f"Received: num_samples={value!r}"
        )


def check_seed(value):
    """Raise a ValueError unless a value is None or a valid seed on every backend."""
    # 31 bits, since some backends store a seed in a signed integer.
    if value is not None and (not _is_integer(value) or not 0 <= value < 2**31):
        raise ValueError(
            "Argument `seed` must be None or an integer from 0 to 2**31 - 1. "
            f"Received: seed={value!r}"
        )


def check_amplitude_shape(shape):
    """Raise a ValueError unless a shape is `(..., 2K)` with a known K > 0."""
    check_one_amplitude_shape(shape)
    if len(shape) == 0 or not shape[-1] or shape[-1] % 2:
        raise ValueError(
            "An amplitude must have the shape (..., 2K). Its last axis, of known and even "
            "length, contains the real parts and then the imaginary parts of K latent "
            f"dimensions. Received: amplitude.shape={tuple(shape)}"
        )


def check_prior_shape(name, shape, amplitude_shape, prior_scale_shape=None):
    """Raise a ValueError unless a shape broadcasts to `(..., K)`, or to `(..., D)` with a scale."""
    scaled = prior_scale_shape is not None
    size = prior_scale_shape[-2] if scaled else amplitude_shape[-1] // 2
    expected = (*amplitude_shape[:-1], size)
    if not _may_broadcast_to(shape, expected):
        raise ValueError(
            f"Argument `{name}` must broadcast to the shape {expected} of the posterior of an "
            f"amplitude of shape {tuple(amplitude_shape)}. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_matrix_shape(name, shape, amplitude_shape, square=False, any_batch=False):
    """Raise a ValueError unless a shape is `(..., D, K)`, or `(..., K, K)` with `square=True`.

    With `any_batch=True`, the leading axes need not broadcast to those of the amplitude.
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
            f"that broadcast with those of the amplitude. Received: {name}.shape={tuple(shape)}"
        )


def check_posterior_shapes(amplitude, prior_mean, prior_stddev, prior_scale, rotation=None):
    """Raise a ValueError unless the shapes of a prior and a rotation fit that of an amplitude."""
    if prior_stddev is not None and prior_scale is not None:
        raise ValueError(
            "Only one of `prior_stddev` and `prior_scale` may be given, since `prior_stddev` is "
            "a diagonal `prior_scale`. Received both"
        )
    if prior_scale is not None:
        check_matrix_shape("prior_scale", prior_scale, amplitude)
    if rotation is not None:
        check_matrix_shape("rotation", rotation, amplitude, square=True)
    if prior_mean is not None:
        check_prior_shape("prior_mean", prior_mean, amplitude, prior_scale)
    if prior_stddev is not None:
        check_prior_shape("prior_stddev", prior_stddev, amplitude)


def check_vector_shape(name, shape, size):
    """Raise a ValueError unless the last axis of a shape has length `size` or 1, or is missing."""
    if len(shape) > 0 and shape[-1] not in (1, size):
        raise ValueError(
            f"Argument `{name}` must have a last axis of length {size} or broadcast to it. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_batches(**shapes):
    """Return the shape to which shapes broadcast. Raise a ValueError if they do not."""
    batch = ()
    for shape in shapes.values():
        batch = broadcast(batch, tuple(shape))
        if batch is None:
            received = ", ".join(f"{name}: {tuple(shape)}" for name, shape in shapes.items())
            raise ValueError(
                "The leading axes of an amplitude, its rotation, its prior and `z` must "
                f"broadcast together. Received leading axes: {received}"
            )
    return batch


def check_mask_shape(shape, amplitude_shape):
    """Raise a ValueError unless a mask has the leading axes of the amplitude."""
    expected = tuple(amplitude_shape[:-1])
    if not may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `mask` must have the shape of the amplitude without its last axis, "
            f"{expected}. Received: mask.shape={tuple(shape)}"
        )


def check_rate_shape(shape, amplitude_shape):
    """Raise a ValueError unless a rate is a scalar or has a value for each instance."""
    expected = tuple(amplitude_shape[:-1])
    if len(shape) and not may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `rate` must be a scalar, or have the shape of the amplitude without its "
            f"last axis, {expected}. Received: rate.shape={tuple(shape)}"
        )


def _may_broadcast_to(shape, expected):
    return len(shape) <= len(expected) and all(
        given == 1 or may_be_equal(given, wanted)
        for given, wanted in zip(reversed(shape), reversed(expected))
    )


def broadcast(shape, other):
    """Return the shape to which two shapes broadcast, or None if they do not."""
    length = max(len(shape), len(other))
    result = []
    for one, two in zip((1,) * (length - len(shape)) + shape, (1,) * (length - len(other)) + other):
        if 1 not in (one, two) and not may_be_equal(one, two):
            return None
        # An unknown length may be 1, but is the other length if that is known and not 1.
        result.append(two if one in (1, None) and two != 1 else one)
    return tuple(result)


def may_be_same_shape(shape, expected):
    """Return whether two shapes may be the same, where lengths may be unknown."""
    return len(shape) == len(expected) and all(map(may_be_equal, shape, expected))


def may_be_equal(length, other):
    """Return whether the lengths of two axes may be the same, where either may be unknown."""
    return length is None or other is None or length == other


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
