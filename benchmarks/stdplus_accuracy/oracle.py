"""Reference values of stdplus, its inverse and their derivatives.

Two references share no code and no coefficient with keras_slashed or with each other:

- `forward` and `inverse`, in NumPy float64, for many points: every float32, float16 and
  bfloat16 number. Their relative error is below 1e-12, which is 0.00002 ulp of float32.
- `exact_forward` and `exact_inverse`, by mpmath's Lambert W at 120 digits, for single float64
  points.

All results follow from s = log y without cancellation. With r = 2 s the defining equation is
`x^2 = expm1(r) - r`, and with `D = expm1(r)`

    s' = x / D         s'' = 2 h / D^2 - s'^2        h = s coth(s) - 1
    y' = y s'          y'' = 2 y h / D^2
    for x(y):          x'  = 1 / (y s')              x'' = -y'' / y'^3

Near 0, where D, h and x^2 vanish, the same results come from

    E2 = (expm1(r) - r) / r^2        x = r sqrt(E2)
    E1 = expm1(r) / r = 1 + r E2     s' = sqrt(E2) / E1
    C  = (s cosh(s) - sinh(s)) / s^3     2 h / D^2 = y C / (2 E1^3)

with series that are sums over factorials.
"""

import functools
import math

import numpy as np
from numpy.polynomial.polynomial import polyval

from applications import extras

_NEAR = 0.125  # of |x| and of |log y|; beyond, differences lose at most 3 digits
_LEFT = -8.0  # beyond, y^2 is below exp(-65) and negligible next to x^2 + 1


def forward(x):
    """Return y = stdplus(x) and its derivatives.

    Args:
        x: Float64 array of values in the range of float32 (x^4 must be finite).

    Returns:
        Dict of float64 arrays: "y", "log", "gradient", "log_gradient", "second" and
        "log_second". Derivatives are with respect to x.
    """
    x = np.asarray(x, "float64")
    with np.errstate(all="ignore"):
        near, left = np.abs(x) < _NEAR, x < _LEFT
        s = 0.5 * np.piecewise(
            x, [near, left, ~(near | left)], [_solve_near, lambda x: -1.0 - x * x, _solve]
        )
        y = np.exp(s)
        log_slope, bend = _slope_and_bend(s, x, near)
        result = {
            "y": y,
            "log": s,
            "gradient": y * log_slope,
            "log_gradient": log_slope,
            "second": y * bend,
            # In the left tail, this difference of two numbers of the size of x^2 would cancel.
            "log_second": np.where(left, -1.0, bend - log_slope * log_slope),
        }
    return _with_limits(result, _LIMITS, x == -np.inf, x == np.inf)


def inverse(y):
    """Return x = stdplus_inverse(y) and its derivatives.

    Args:
        y: Float64 array of nonnegative values in the range of float32.

    Returns:
        Dict of float64 arrays: "inverse", "inverse_gradient" and "inverse_second". Derivatives
        are with respect to y.
    """
    y = np.asarray(y, "float64")
    with np.errstate(all="ignore"):
        s = np.log(y)
        near = np.abs(s) < _NEAR
        r = 2.0 * np.where(near, s, 0.0)
        x = r * np.sqrt(_e2(r))
        x = np.where(near, x, np.copysign(np.sqrt((y - 1.0) * (y + 1.0) - 2.0 * s), s))
        log_slope, bend = _slope_and_bend(s, x, near)
        slope = 1.0 / (y * log_slope)
        result = {
            "inverse": x,
            "inverse_gradient": slope,
            "inverse_second": -y * bend * slope**3,
        }
    return _with_limits(result, _INVERSE_LIMITS, y == 0.0, y == np.inf)


# Limits at the left and at the right end
_LIMITS = {
    "y": (0.0, np.inf),
    "log": (-np.inf, np.inf),
    "gradient": (0.0, 1.0),
    "log_gradient": (np.inf, 0.0),
    "second": (0.0, 0.0),
    "log_second": (-1.0, 0.0),
}
_INVERSE_LIMITS = {
    "inverse": (-np.inf, np.inf),
    "inverse_gradient": (np.inf, 1.0),
    "inverse_second": (-np.inf, 0.0),
}


def _with_limits(result, limits, left, right):
    if left.any() or right.any():
        for name, (at_left, at_right) in limits.items():
            result[name] = np.where(left, at_left, np.where(right, at_right, result[name]))
    return result


# The first omitted term is below 1e-14 at |x| = 1/8 and at |s| = 1/8.
_E2 = [1 / math.factorial(k + 2) for k in range(10)]
_C = [2 * n / math.factorial(2 * n + 1) for n in range(1, 7)]


def _e2(r):
    return polyval(r, _E2)


def _solve_near(x):
    """Solve r sqrt(E2(r)) = x by Newton's method, from the first two terms of r(x)."""
    r = x * (math.sqrt(2.0) - x / 3.0)
    for _ in range(2):
        e2 = _e2(r)
        root = np.sqrt(e2)
        r = r - (r * root - x) * 2.0 * root / (1.0 + r * e2)
    return r


def _solve(x):
    """Solve expm1(r) - r = x^2 by Halley's method, from squareplus."""
    square = x * x
    r = 2.0 * np.log(0.5 * (x + np.sqrt(square + 4.0)))
    for _ in range(3):
        power = np.exp(r)
        slope = power - 1.0
        newton = (slope - r - square) / slope
        r = r - newton / (1.0 - 0.5 * newton * power / slope)
    return r


def _slope_and_bend(s, x, near):
    """Return s' and y'' / y = 2 h / D^2."""

    def closed(s, x):
        d = np.expm1(2.0 * s)
        return x / d, 2.0 * (s / np.tanh(s) - 1.0) / d**2

    def series(s, x):
        e2 = _e2(2.0 * s)
        e1 = 1.0 + 2.0 * s * e2
        return np.sqrt(e2) / e1, 0.5 * np.exp(s) * polyval(s * s, _C) / e1**3

    if near.all() or not near.any():
        return (series if near.all() else closed)(s, x)
    slope, bend = np.empty_like(s), np.empty_like(s)
    for piece, function in ((near, series), (~near, closed)):
        slope[piece], bend[piece] = function(s[piece], x[piece])
    return slope, bend


_DIGITS = 120  # next to 0, where D is 1e-25, more than half of them are lost
_TINY = 1e-25


def exact_forward(x):
    """Return the results of `forward` for one number of float64 or mpmath, by mpmath."""
    mp = _mpmath()
    x = mp.mpf(x)
    if abs(x) < _TINY:
        slope, bend = 1 / mp.sqrt(2) - x / 3, mp.mpf(1) / 6
        s = x / mp.sqrt(2) - x * x / 6
    else:
        # y^2 = -W(-exp(-x^2 - 1)), with branch W_0 left of 0 and W_-1 right of it
        square = -mp.lambertw(-mp.exp(-1 - x * x), 0 if x < 0 else -1).real
        s = mp.log(square) / 2
        slope = x / (square - 1)
        bend = 2 * (s * mp.coth(s) - 1) / (square - 1) ** 2
    y = mp.exp(s)
    return {
        "y": y,
        "log": s,
        "gradient": y * slope,
        "log_gradient": slope,
        "second": y * bend,
        "log_second": bend - slope**2,
    }


def exact_inverse(y):
    """Return the results of `inverse` for one positive number of float64 or mpmath."""
    mp = _mpmath()
    y = mp.mpf(y)
    if y == 1:
        return {
            "inverse": mp.zero,
            "inverse_gradient": mp.sqrt(2),
            "inverse_second": -mp.sqrt(2) / 3,
        }
    x = mp.sign(y - 1) * mp.sqrt(y * y - 1 - 2 * mp.log(y))
    slope = (y - 1 / y) / x
    return {
        "inverse": x,
        "inverse_gradient": slope,
        "inverse_second": (1 + 1 / y**2 - slope**2) / x,
    }


@functools.cache
def _mpmath():
    # Imported here, because a run over every float32 does not need it.
    context = extras.load("mpmath").MPContext()
    context.dps = _DIGITS
    return context
