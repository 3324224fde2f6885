"""The NumPy oracle against mpmath, and mpmath's against the definition."""

import mpmath
import numpy as np
import pytest

from benchmarks.stdplus_accuracy import oracle as oracle

FORWARD = ("y", "log", "gradient", "log_gradient", "second", "log_second")
INVERSE = ("inverse", "inverse_gradient", "inverse_second")


def around(values):
    """Return float32 values and their neighbors, as float64."""
    values = np.asarray(values, "float32")
    sides = [np.nextafter(values, np.float32(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([values, *sides]).astype("float64")


def forward_points():
    rng = np.random.default_rng(0)
    sizes = 10.0 ** np.concatenate([rng.uniform(-8, 1, 200), rng.uniform(-45, 38.5, 100)])
    x = [sizes, -sizes, rng.uniform(-14.5, 2.0, 200), rng.uniform(-0.3, 0.3, 200)]
    seams = [-14.4, -13.18, oracle._LEFT, oracle._NEAR, -oracle._NEAR, 1e-45, 3.4e38]
    x = np.concatenate([*x, np.linspace(-9.0, 9.0, 101)]).astype("float32").astype("float64")
    return np.concatenate([x, around(seams)])


def inverse_points():
    rng = np.random.default_rng(0)
    near = 10.0 ** rng.uniform(-7.2, -0.1, 150)
    y = [10.0 ** rng.uniform(-44.8, 38.5, 150), rng.uniform(0.3, 3.0, 150), 1 + near, 1 - near]
    y = np.concatenate(y).astype("float32").astype("float64")
    seams = np.exp([oracle._NEAR, -oracle._NEAR])
    return np.concatenate([y, around([*seams, 1.0, 3e-45, 3.4e38])])


def check(computed, exact, names, points):
    assert tuple(computed) == names
    for name in names:
        expected = np.array([float(value[name]) for value in exact])
        # Far left, y is no number of float64 any longer.
        normal = np.abs(expected) > np.finfo("float64").tiny
        np.testing.assert_allclose(
            computed[name][normal], expected[normal], rtol=1e-12, err_msg=name
        )
        assert (np.abs(computed[name][~normal]) <= np.finfo("float64").tiny).all()
    assert len(points) > 500


@pytest.mark.parametrize("together", [True, False])
def test_forward(together):
    """Exchange several points, or one at a time if all errors have one sign."""
    x = forward_points()
    exact = [oracle.exact_forward(value) for value in x]
    if together:
        computed = oracle.forward(x)
    else:
        singles = [oracle.forward(x[i : i + 1]) for i in range(len(x))]
        computed = {name: np.concatenate([s[name] for s in singles]) for name in FORWARD}
    check(computed, exact, FORWARD, x)


def test_inverse():
    y = inverse_points()
    check(oracle.inverse(y), [oracle.exact_inverse(value) for value in y], INVERSE, y)


def test_limits():
    at = oracle.forward(np.array([-np.inf, 0.0, np.inf, np.nan]))
    root = 0.5**0.5
    expected = {
        "y": [0, 1, np.inf, np.nan],
        "log": [-np.inf, 0, np.inf, np.nan],
        "gradient": [0, root, 1, np.nan],
        "log_gradient": [np.inf, root, 0, np.nan],
        "second": [0, 1 / 6, 0, np.nan],
        "log_second": [-1, -1 / 3, 0, np.nan],
    }
    for name in FORWARD:
        np.testing.assert_allclose(at[name], expected[name], rtol=1e-14, err_msg=name)
    at = oracle.inverse(np.array([0.0, 1.0, np.inf, np.nan]))
    expected = {
        "inverse": [-np.inf, 0, np.inf, np.nan],
        "inverse_gradient": [np.inf, 2**0.5, 1, np.nan],
        "inverse_second": [-np.inf, -(2**0.5) / 3, 0, np.nan],
    }
    for name in INVERSE:
        np.testing.assert_allclose(at[name], expected[name], rtol=1e-14, err_msg=name)


@pytest.mark.parametrize("x", [-20.0, -3.0, -0.2, 1e-9, 0.3, 5.0, 1e3])
def test_mpmath_solves_the_definition(x):
    """The equation itself, and derivatives by mpmath's differences."""
    mp = mpmath.MPContext()
    mp.dps = 120
    exact = oracle.exact_forward(x)
    y = exact["y"]
    assert abs(mp.log(y * y) - y * y + mp.mpf(x) ** 2 + 1) < 1e-90
    assert (y > 1) == (x > 0)
    step = mp.mpf(10) ** -25
    above, below = (oracle.exact_forward(mp.mpf(x) + side * step) for side in (1, -1))
    pairs = (("y", "gradient"), ("log", "log_gradient"), ("gradient", "second"))
    for name, slope in (*pairs, ("log_gradient", "log_second")):
        difference = (above[name] - below[name]) / (2 * step)
        assert abs(difference / exact[slope] - 1) < 1e-20, slope
