"""Fit the coefficients of stdplus and write `keras_slashed/ops/stdplus_coefficients.py`.

`python -m benchmarks.stdplus_fit` takes about 20 seconds. It requires only mpmath and NumPy, and
shares no code with the library.
"""

import pathlib
import typing

import numpy as np

from applications import extras
from benchmarks.stdplus_fit.remez import chebyshev_indices
from benchmarks.stdplus_fit.remez import fit_rational
from benchmarks.stdplus_fit.remez import weighted_errors

mpmath = extras.load("mpmath")
mpf = mpmath.mpf

FILE = pathlib.Path(__file__).parents[2] / "keras_slashed" / "ops" / "stdplus_coefficients.py"
_DIGITS = 70
_LEFT = mpf(-13) / 16  # stdplus and ...
_LOG_LEFT = mpf(-1)  # ... its logarithm are series in exp(-x^2 - 1) to the left of these


class Point(typing.NamedTuple):
    """An x with y = stdplus(x) and s = log y."""

    x: mpf
    y: mpf
    s: mpf


def point_at(x):
    """Solve `expm1(2 s) - 2 s = x^2`, sign(s) = sign(x), by Newton's method."""
    # At 0 itself every quotient below is 0/0, so a neighbor replaces it.
    x = x if abs(x) > mpf("1e-25") else mpf("1e-25")
    if x < -2:
        s = -(x * x + 1) / 2
    elif x > 2:
        s = mpmath.log(x)
    else:
        s = x / mpmath.sqrt(2)
    with mpmath.extradps(60):  # the difference cancels near 0
        for _ in range(100):
            slope = 2 * mpmath.expm1(2 * s)
            change = (slope / 2 - 2 * s - x * x) / slope
            s -= change
            if abs(change) < abs(s) * mpf(10) ** -_DIGITS:
                break
    return Point(x, mpmath.exp(s), s)


def point_at_stdplus(y):
    """Return the point with stdplus(x) = y."""
    y = y if abs(y - 1) > mpf("1e-25") else 1 + mpf("1e-25")
    s = mpmath.log(y)
    return Point(mpmath.sign(s) * mpmath.sqrt((y - 1) * (y + 1) - 2 * s), y, s)


def point_at_square(t):
    """Return the point left of 0 with exp(-x^2 - 1) = t."""
    t = max(t, mpf("1e-30"))
    return point_at(-mpmath.sqrt(-1 - mpmath.log(t)))


class Block(typing.NamedTuple):
    """A function of a point on [start, end] that one rational approximates.

    `error` is the error of the result per unit of error in `function`.
    """

    name: str
    formula: str
    variable: str
    point: typing.Callable
    start: typing.Any
    end: typing.Any
    function: typing.Callable
    error: typing.Callable
    degrees: dict


def _center(name, formula, offset, function, start, end, degrees, variable="x", point=point_at):
    """Return the block of `function - offset`, whose error is relative to `function`."""
    return Block(
        name,
        formula,
        variable,
        point,
        mpf(start),
        mpf(end),
        lambda x, y, s: function(x, y, s) - offset,
        lambda x, y, s: 1 / abs(function(x, y, s)),
        degrees,
    )


_RIGHT = {
    "formula": "stdplus(x) = 1 + x + x q",
    "variable": "x",
    "point": point_at,
    "function": lambda x, y, s: (y - 1 - x) / x,
    "error": lambda x, y, s: max(abs(x), mpf(1) / 4) / y,
}

BLOCKS = (
    Block(
        "LEFT",
        "stdplus(x) = exp(-(x^2 + 1) / 2) (1 + q)",
        "exp(-x^2 - 1)",
        point_at_square,
        mpf(0),
        mpmath.exp(-(_LEFT**2) - 1),
        lambda x, y, s: mpmath.expm1(y * y / 2),
        lambda x, y, s: mpmath.exp(-y * y / 2),
        {"float32": (3, 3), "float64": (6, 6)},
    ),
    Block(name="CENTRE", start=_LEFT, end=mpf(2), degrees={"float64": (8, 8)}, **_RIGHT),
    Block(name="RIGHT", start=_LEFT, end=mpf(2) ** 15, degrees={"float32": (6, 7)}, **_RIGHT),
    # A Newton step follows, which squares the error.
    Block(name="RIGHT", start=mpf(2), end=mpf(2) ** 15, degrees={"float64": (6, 7)}, **_RIGHT),
    Block(
        "LOG_LEFT",
        "log stdplus(x) = (t q - x^2 - 1) / 2",
        "t = exp(-x^2 - 1)",
        point_at_square,
        mpf(0),
        mpmath.exp(-(_LOG_LEFT**2) - 1),
        lambda x, y, s: y * y * mpmath.exp(x * x + 1),
        lambda x, y, s: mpmath.exp(-x * x - 1) / (2 * abs(s)),
        {"float32": (2, 2), "float64": (5, 5)},
    ),
    _center(
        "LOG_CENTRE",
        "log stdplus(x) = x (9/16 + q)",
        mpf(9) / 16,
        lambda x, y, s: s / x,
        _LOG_LEFT,
        2,
        {"float32": (5, 5), "float64": (9, 9)},
    ),
    _center(
        "DERIVATIVE_CENTRE",
        "stdplus'(x) = 5/8 + q",
        mpf(5) / 8,
        lambda x, y, s: x * y / (y * y - 1),
        mpf(-5) / 4,
        2,
        {"float32": (4, 4), "float64": (9, 9)},
    ),
    _center(
        "SECOND_DERIVATIVE_CENTRE",
        "stdplus''(x) = q",
        0,
        lambda x, y, s: y * (4 * s * s + 2 * x * x * (s - 1)) / (y * y - 1) ** 3,
        mpf(-5) / 4,
        2,
        {"float32": (4, 4), "float64": (9, 9)},
    ),
    _center(
        "LOG_DERIVATIVE_CENTRE",
        "(log stdplus)'(x) = 3/4 + q",
        mpf(3) / 4,
        lambda x, y, s: x / (y * y - 1),
        -1,
        1,
        {"float32": (4, 4), "float64": (8, 8)},
    ),
    _center(
        "LOG_SECOND_DERIVATIVE_CENTRE",
        "(log stdplus)''(x) = q",
        0,
        lambda x, y, s: ((y * y - 1) ** 2 - 2 * x * x * y * y) / (y * y - 1) ** 3,
        -1,
        1,
        {"float32": (4, 4), "float64": (8, 8)},
    ),
    _center(
        "INVERSE_CENTRE",
        "stdplus_inverse(y) = (y - 1) (5/4 + q)",
        mpf(5) / 4,
        lambda x, y, s: x / (y - 1),
        mpf(1) / 2,
        2,
        {"float32": (4, 4), "float64": (8, 8)},
        "y",
        point_at_stdplus,
    ),
    _center(
        "INVERSE_SECOND_DERIVATIVE_CENTRE",
        "stdplus_inverse''(y) = q",
        0,
        lambda x, y, s: 2 * (1 - s - (1 + s) / y**2) / x**3,
        mpf(1) / 2,
        2,
        {"float32": (4, 3), "float64": (8, 8)},
        "y",
        point_at_stdplus,
    ),
)


def fit(block, dtype):
    """Return the rounded coefficients of p and q in `x - start`, and the largest error."""
    numerator_degree, denominator_degree = block.degrees[dtype]
    with mpmath.workdps(_DIGITS):
        grid = _grid(block.start, block.end)
        points = [block.point(x) for x in grid]
        f = [block.function(*point) for point in points]
        weight = [1 / block.error(*point) for point in points]
        u = [x - block.start for x in grid]
        p, q, _ = fit_rational(u, f, weight, numerator_degree, denominator_degree)
        return _round(p, q, dtype, u[::4], f[::4], weight[::4])


def _grid(start, end, size=800):
    steps = [mpf(i) / (10 * size) for i in chebyshev_indices(10 * size + 1, size)]
    length = end - start
    # Towards a far end the function changes like 1/x, so points are evenly spaced in 1/x.
    scale = 2 if length > 100 else mpmath.inf
    return [start + v * length / (1 + (1 - v) * length / scale) for v in steps]


def _round(p, q, dtype, u, f, weight):
    """Round to the dtype, after scaling by the common factor with the least rounding error."""
    best = None
    for step in range(32):
        factor = mpf(2) ** (mpf(step) / 32)
        rounded = [[_to_dtype(c * factor, dtype) for c in coefficients] for coefficients in (p, q)]
        exact = [[mpf(c) for c in coefficients] for coefficients in rounded]
        worst = max(abs(error) for error in weighted_errors(*exact, u, f, weight))
        if best is None or worst < best[-1]:
            best = (*rounded, worst)
    return best


def _to_dtype(number, dtype):
    """Return the nearest number of a dtype as a Python float."""
    if dtype == "float64":
        return float(number)
    # Rounding twice equals rounding once, except for ties, which do not occur here.
    return float(np.float32(float(number)))


HEADER = '''"""Coefficients of stdplus: rational minimax approximations.

`python -m benchmarks.stdplus_fit` writes this file. Edit that module instead. Each block is
for one dtype and one interval. Its coefficients are those of the powers, lowest first, of the
named variable minus the start of the interval. The comment above a block states the largest
relative error of the result with these rounded coefficients.
"""

import typing


class Rational(typing.NamedTuple):
    """`q = numerator(u) / denominator(u)`, `u = variable - start`."""

    start: float
    end: float
    numerator: tuple
    denominator: tuple
'''


def source():
    """Fit every block, and return the text of the coefficients' module."""
    parts = [HEADER]
    for dtype in ("float32", "float64"):
        entries = []
        for block in BLOCKS:
            if dtype in block.degrees:
                p, q, error = fit(block, dtype)
                print(f"{dtype} {block.name}: {mpmath.nstr(error, 3)}", flush=True)
                entries.append(_entry(block, p, q, error))
        parts.append(f"\n\n{dtype.upper()} = {{\n" + "".join(entries) + "}")
    parts.append('\n\nCOEFFICIENTS = {"float32": FLOAT32, "float64": FLOAT64}\n')
    return "".join(parts)


def _entry(block, p, q, error):
    interval = f"[{mpmath.nstr(block.start, 5)}, {mpmath.nstr(block.end, 5)}]"
    lines = [
        f"    # {block.formula}",
        f"    # {block.variable} in {interval}, error {mpmath.nstr(error, 2)}",
        f'    "{block.name}": Rational(',
        f"        start={float(block.start)!r},",
        f"        end={float(block.end)!r},",
        "        numerator=(",
        *(f"            {c!r}," for c in p),
        "        ),",
        "        denominator=(",
        *(f"            {c!r}," for c in q),
        "        ),",
        "    ),\n",
    ]
    return "\n".join(lines)


def main():
    """Fit the coefficients, and write them to the library's file."""
    FILE.write_text(source())


if __name__ == "__main__":
    main()
