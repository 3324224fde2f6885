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
    aligned = zip(reversed(shape), reversed(expected))
    if len(shape) > len(expected) or not all(
        given == 1 or given is None or wanted is None or given == wanted
        for given, wanted in aligned
    ):
        raise ValueError(
            f"Argument `{name}` must broadcast to the posterior's shape {expected}, "
            f"from an amplitude of shape {tuple(amplitude_shape)}. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_mask_shape(shape, amplitude_shape):
    """Raise a ValueError unless a mask has the amplitude's leading axes."""
    expected = tuple(amplitude_shape[:-1])
    if len(shape) != len(expected) or not all(
        given is None or wanted is None or given == wanted for given, wanted in zip(shape, expected)
    ):
        raise ValueError(
            "Argument `mask` must have the amplitude's shape without its last axis, "
            f"{expected}. Received: mask.shape={tuple(shape)}"
        )


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
