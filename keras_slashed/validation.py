"""Checks of arguments: what came, and what was expected."""

import numbers
import operator

import numpy as np

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


def check_number(name, value, minimum=None, maximum=None, *, above=None, below=None, of_what=""):
    """Raise a ValueError unless it is a finite number within bounds.

    Args:
        name: What the argument is called.
        value: What was given.
        minimum: The least number that is allowed.
        maximum: The greatest.
        above: A number that it must be more than.
        below: A number that it must be less than.
        of_what: What is counted: "of nats".
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
    """Raise a ValueError unless a number is a positive, finite rate."""
    check_number(name, value, above=0, of_what="of nats")


def check_positive_integer(name, value):
    """Raise a ValueError unless it is an integer of at least 1."""
    if not _is_integer(value) or value < 1:
        raise ValueError(
            f"Argument `{name}` must be a positive integer. Received: {name}={value!r}"
        )


def check_num_samples(value):
    """Raise a ValueError unless it is None or a positive integer."""
    if value is not None and (not _is_integer(value) or value < 1):
        raise ValueError(
            "Argument `num_samples` must be None or a positive integer. "
            f"Received: num_samples={value!r}"
        )


def check_seed(value):
    """Raise a ValueError unless it is None or an integer that every backend has as a seed."""
    # 31 bits: some backends keep a seed in signed integers.
    if value is not None and (not _is_integer(value) or not 0 <= value < 2**31):
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
        batch = broadcast(batch, tuple(shape))
        if batch is None:
            received = ", ".join(f"{name}: {tuple(shape)}" for name, shape in shapes.items())
            raise ValueError(
                "The leading axes of an amplitude, its rotation, its prior and a `z` must "
                f"broadcast together. Received leading axes: {received}"
            )
    return batch


def check_mask_shape(shape, amplitude_shape):
    """Raise a ValueError unless a mask has the amplitude's leading axes."""
    expected = tuple(amplitude_shape[:-1])
    if not may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `mask` must have the amplitude's shape without its last axis, "
            f"{expected}. Received: mask.shape={tuple(shape)}"
        )


def check_rate_shape(shape, amplitude_shape):
    """Raise a ValueError unless a rate is a scalar, or one for each instance."""
    expected = tuple(amplitude_shape[:-1])
    if len(shape) and not may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `rate` must be a scalar, or have the amplitude's shape without its last "
            f"axis, {expected}. Received: rate.shape={tuple(shape)}"
        )


def _may_broadcast_to(shape, expected):
    return len(shape) <= len(expected) and all(
        given == 1 or may_be_equal(given, wanted)
        for given, wanted in zip(reversed(shape), reversed(expected))
    )


def broadcast(shape, other):
    """Return the shape that two broadcast to, or None if they do not."""
    length = max(len(shape), len(other))
    result = []
    for one, two in zip((1,) * (length - len(shape)) + shape, (1,) * (length - len(other)) + other):
        if 1 not in (one, two) and not may_be_equal(one, two):
            return None
        # An unknown length may be 1, but not beside another.
        result.append(two if one in (1, None) and two != 1 else one)
    return tuple(result)


def may_be_same_shape(shape, expected):
    """Compare two shapes, whose lengths may be unknown."""
    return len(shape) == len(expected) and all(map(may_be_equal, shape, expected))


def may_be_equal(length, other):
    """Compare the lengths of two axes, either of which may be unknown."""
    return length is None or other is None or length == other


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
