"""The paper's Algorithm 1, away from where it is known to be weak."""

import numpy as np
import pytest

from applications.figures import algorithm1
from benchmarks.stdplus_accuracy.oracle import exact_forward
from benchmarks.stdplus_accuracy.oracle import forward
from tests.support import dtype_enabled
from tests.support import tensor
from tests.support import to_numpy

ITERATIONS = {"float32": 4, "float64": 5}
# Its Pade approximant from 0.001 on, its Newton steps from 0.2 on
X = np.array([-12.0, -3.0, -0.5, -0.03, -0.001, 0.001, 0.03, 0.5, 1.0, 3.0, 30.0, 1e4])


def evaluate(dtype):
    """Return Algorithm 1's log stdplus, stdplus and gradient, and the exact ones."""
    with dtype_enabled(dtype):
        x = tensor(X, dtype)
        log = algorithm1.log_stdplus(x, ITERATIONS[dtype])
        y = algorithm1.stdplus(x, ITERATIONS[dtype])
        gradient = algorithm1.stdplus_derivative(x, y)
        computed = [to_numpy(value) for value in (log, y, gradient)]
    exact = [exact_forward(value) for value in X.astype(dtype).astype("float64")]
    names = ("log", "y", "gradient")
    return computed, [np.array([float(value[name]) for value in exact]) for name in names]


@pytest.mark.parametrize("dtype", list(ITERATIONS))
def test_iterations_for_a_precision(dtype):
    assert algorithm1.iterations(np.finfo(dtype).eps) == ITERATIONS[dtype]


@pytest.mark.parametrize("dtype", list(ITERATIONS))
def test_values(dtype):
    """The Pade approximant alone is off by 3e-13, whatever the dtype."""
    (log, y, _), (exact_log, exact_y, _) = evaluate(dtype)
    assert log.dtype == y.dtype == dtype
    # 100 ulp are lost in the left tail.
    rtol = {"float32": 2e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(y, exact_y, rtol=rtol)
    rtol = {"float32": 1e-5, "float64": 2e-11}[dtype]
    np.testing.assert_allclose(log, exact_log, rtol=rtol)


@pytest.mark.parametrize("dtype", list(ITERATIONS))
def test_gradient(dtype):
    """y^2 - 1 leaves few digits near 0, where y is near 1."""
    (*_, gradient), (*_, exact) = evaluate(dtype)
    rtol = {"float32": 3e-4, "float64": 1e-10}[dtype]
    np.testing.assert_allclose(gradient, exact, rtol=rtol)


def test_iterations_reach_their_precision_as_in_figure_3():
    """One iteration is the exception: off by a half far to the left."""
    x = np.concatenate([np.linspace(-12.0, -0.3, 500), np.linspace(0.3, 12.0, 500)])
    exact = forward(x)["log"]
    with dtype_enabled("float64"):
        for count in (2, 3, 4):
            eps = 2.0 ** -(2 ** (count + 1))
            assert algorithm1.iterations(eps) == count
            log = to_numpy(algorithm1.log_stdplus(tensor(x, "float64"), count))
            assert np.abs(log - exact).max() < eps
