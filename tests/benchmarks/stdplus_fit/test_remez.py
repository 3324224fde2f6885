"""Rational minimax approximation, against errors that are known."""

import itertools

import mpmath
import pytest
from mpmath import mpf

from benchmarks.stdplus_fit.remez import chebyshev_indices
from benchmarks.stdplus_fit.remez import fit_rational
from benchmarks.stdplus_fit.remez import weighted_errors


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(40):
        yield


def grid(size=400):
    """Return points of [-1, 1], dense at both ends."""
    steps = chebyshev_indices(100 * size + 1, size)
    return [mpf(step) / (50 * size) - 1 for step in steps]


def fit(function, degrees, weight=lambda x: mpf(1)):
    """Return p, q, the largest error, and all weighted errors on [-1, 1]."""
    x = grid()
    f, weights = [function(value) for value in x], [weight(value) for value in x]
    p, q, worst = fit_rational(x, f, weights, *degrees)
    assert (len(p), len(q), q[0]) == (degrees[0] + 1, degrees[1] + 1, 1)
    return p, q, worst, weighted_errors(p, q, x, f, weights)


def alternations(errors, level):
    """Count the errors of alternating sign that reach a level, neighbors of one sign once."""
    signs = [error > 0 for error in errors if abs(error) >= level]
    return 1 + sum(one != next_one for one, next_one in itertools.pairwise(signs))


def test_indices_are_dense_at_both_ends():
    indices = chebyshev_indices(101, 11)
    steps = [b - a for a, b in itertools.pairwise(indices)]
    assert (indices[0], indices[-1], len(indices)) == (0, 100, 11)
    assert steps == steps[::-1]
    assert steps[0] == min(steps) < max(steps) == steps[5]


SLOPE = mpmath.sinh(1)


@pytest.mark.parametrize(
    ("degrees", "error"),
    [
        ((0, 0), SLOPE),
        # The line parallel to the chord, half way to the tangent
        ((1, 0), (mpmath.cosh(1) - SLOPE + SLOPE * mpmath.log(SLOPE)) / 2),
        ((2, 0), 0.0450174),
        ((1, 1), 0.0209724),
    ],
)
def test_exp(degrees, error):
    _, _, worst, errors = fit(mpmath.exp, degrees)
    assert abs(worst / error - 1) < 1e-5
    assert max(abs(e) for e in errors) == worst


@pytest.mark.parametrize("degrees", [(3, 0), (2, 1), (0, 2), (3, 3)])
@pytest.mark.parametrize("weight", [lambda x: mpf(1), mpmath.exp], ids=["absolute", "relative"])
def test_errors_alternate(degrees, weight):
    """The error alternates as often as Chebyshev requires, so no other fit has a smaller error."""
    _, q, worst, errors = fit(mpmath.exp, degrees, weight)
    assert alternations(errors, 0.998 * worst) == sum(degrees) + 2
    assert min(mpmath.fsum(c * x**k for k, c in enumerate(q)) for x in grid()) > 0


def test_a_function_with_a_pole():
    with pytest.raises(ArithmeticError, match="every solution has a pole"):
        fit(lambda x: mpmath.tan(2 * x), (2, 1))


def test_a_function_that_is_such_a_rational():
    """Nothing is left that could alternate."""
    with pytest.raises(ArithmeticError, match="extrema, 4 are needed"):
        fit(lambda x: (1 + x) / (3 + x), (1, 1))
