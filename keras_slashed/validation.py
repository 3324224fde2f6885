"""Checks of arguments: what came, and what was expected."""

import math
import numbers

NORMALIZATIONS = ("batch", "instance", "feature")
PARTS = ("both", "mean")


def check_choice(name, value, choices):
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"Argument `{name}` must be one of {expected}. Received: {name}={value!r}")


def check_rate(name, value):
    """Raise a ValueError unless a number is a positive finite rate."""
    if not _is_real(value) or not 0 < value < math.inf:
        raise ValueError(
            f"Argument `{name}` must be a positive, finite number of nats. "
            f"Received: {name}={value!r}"
        )


def check_non_negative(name, value):
    """Raise a ValueError unless a number is finite and at least 0."""
    if not _is_real(value) or not 0 <= value < math.inf:
        raise ValueError(
            f"Argument `{name}` must be a finite number, 0 or more. Received: {name}={value!r}"
        )


def check_momentum(value):
    """Raise a ValueError unless a number lies in [0, 1)."""
    if not _is_real(value) or not 0 <= value < 1:
        raise ValueError(
            f"Argument `momentum` must be at least 0 and less than 1. Received: momentum={value!r}"
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


def check_amplitude_shape(shape):
    """Raise a ValueError unless a shape is `(..., 2K)` with a known K > 0."""
    if len(shape) == 0 or not shape[-1] or shape[-1] % 2:
        raise ValueError(
            "An amplitude must have the shape (..., 2K): a last axis of known, even "
            "length, the real parts and then the imaginary parts of K latent "
            f"dimensions. Received: amplitude.shape={tuple(shape)}"
        )


def check_prior_shape(name, shape, amplitude_shape):
    """Raise a ValueError unless a shape broadcasts to `(..., K)`."""
    expected = (*amplitude_shape[:-1], amplitude_shape[-1] // 2)
    if len(shape) > len(expected) or not all(
        given == 1 or _may_be_equal(given, wanted)
        for given, wanted in zip(reversed(shape), reversed(expected))
    ):
        raise ValueError(
            f"Argument `{name}` must broadcast to the posterior's shape {expected}, "
            f"from an amplitude of shape {tuple(amplitude_shape)}. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_mask_shape(shape, amplitude_shape):
    """Raise a ValueError unless a mask has the amplitude's leading axes."""
    expected = tuple(amplitude_shape[:-1])
    if not _may_be_same_shape(shape, expected):
        raise ValueError(
            "Argument `mask` must have the amplitude's shape without its last axis, "
            f"{expected}. Received: mask.shape={tuple(shape)}"
        )


def check_rate_shape(shape, amplitude_shape, normalization):
    """Raise a ValueError unless a rate is a scalar, or one for each instance."""
    if len(shape) == 0:
        return
    expected = tuple(amplitude_shape[:-1])
    if normalization != "instance" or not _may_be_same_shape(shape, expected):
        raise ValueError(
            'Argument `rate` must be a scalar, or with normalization "instance" a tensor of the '
            f"amplitude's shape without its last axis, {expected}. "
            f'Received: normalization="{normalization}", rate.shape={tuple(shape)}'
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


def _may_be_same_shape(shape, expected):
    return len(shape) == len(expected) and all(map(_may_be_equal, shape, expected))


def _may_be_equal(length, other):
    """Compare the lengths of two axes, either of which may be unknown."""
    return length is None or other is None or length == other


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
