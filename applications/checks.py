"""Checks of arguments, whose messages say what was expected and what was received."""

import math
import numbers


def check_choice(name, value, choices):
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"Argument `{name}` must be one of {expected}. Received: {name}={value!r}")


def check_positive(name, value):
    """Raise a ValueError unless `value` is a positive, finite number."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_real or not 0 < value < math.inf:
        raise ValueError(
            f"Argument `{name}` must be a positive, finite number. Received: {name}={value!r}"
        )


def check_positive_integer(name, value):
    """Raise a ValueError unless `value` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(
            f"Argument `{name}` must be a positive integer. Received: {name}={value!r}"
        )


def check_seed(value):
    """Raise a ValueError unless `value` is an integer that every backend accepts as a seed."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or not 0 <= value < 2**31:
        raise ValueError(
            f"Argument `seed` must be an integer from 0 to 2**31 - 1. Received: seed={value!r}"
        )
