"""What holds of stdplus, its logarithm and its inverse at numbers of all exponents."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy

pytestmark = pytest.mark.scaled
SIZE = 16  # of every tensor: JAX compiles again for each
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}
SMALLEST_NORMAL = {
    "float64": 2.0**-1022,
    "float32": 2.0**-126,
    "bfloat16": 2.0**-126,
    "float16": 2.0**-14,
}
LARGEST_EXPONENT = {"float64": 1023, "float32": 127, "bfloat16": 127, "float16": 15}
FUNCTIONS = {"stdplus": stdplus, "log_stdplus": log_stdplus, "stdplus_inverse": stdplus_inverse}


@st.composite
def numbers(draw, positive=False):
    """Draw a dtype and finite normal numbers of any of its exponents, sorted, and 0."""
    dtype = draw(st.sampled_from(sorted(EPSILON)))
    largest = LARGEST_EXPONENT[dtype]
    number = st.builds(
        lambda sign, mantissa, exponent: sign * np.ldexp(mantissa, exponent),
        st.sampled_from([1.0] if positive else [1.0, -1.0]),
        st.floats(1.0, 1.984375),
        # Small ones more often: that is where the function bends.
        st.integers(-6, 5) | st.integers(1 - largest, largest),
    )
    if not positive:
        number = number | st.just(0.0)
    x = sorted(draw(st.lists(number, min_size=1, max_size=SIZE)))
    return dtype, np.pad(x, (0, SIZE - len(x)), mode="edge")


def applied(function, dtype, values):
    """Return the values as the dtype has them, and the function of them, in float64."""
    x = tensor(values, dtype)
    return to_numpy(x).astype("float64"), to_numpy(function(x)).astype("float64")


@given(st.sampled_from(sorted(FUNCTIONS)), st.data())
def test_monotone(name, data):
    """To the rounding of neighbors, 3 units in the last place each."""
    dtype, values = data.draw(numbers(positive=name == "stdplus_inverse"))
    with dtype_enabled(dtype):
        _, y = applied(FUNCTIONS[name], dtype, values)
    assert not np.isnan(y).any()
    finite = np.where(np.isfinite(y), np.abs(y), 0.0)
    slack = 6 * EPSILON[dtype] * finite + SMALLEST_NORMAL[dtype]
    assert (y[1:] >= y[:-1] - slack[1:]).all()


@given(st.sampled_from(sorted(FUNCTIONS)), st.data())
def test_finite_and_of_the_right_sign(name, data):
    """The slope is never negative nor NaN, and infinite only where the function is."""
    dtype, values = data.draw(numbers(positive=name == "stdplus_inverse"))
    with dtype_enabled(dtype):
        x, y = applied(FUNCTIONS[name], dtype, values)
        slope = to_numpy(gradient(FUNCTIONS[name], tensor(values, dtype))).astype("float64")
    at, centre = {"stdplus": (0, 1), "log_stdplus": (0, 0), "stdplus_inverse": (1, 0)}[name]
    assert (y[x > at] >= centre).all()
    assert (y[x < at] <= centre).all()
    assert (y[x == at] == centre).all()
    if name == "stdplus":
        assert (y >= 0).all()
    assert (slope >= 0).all()
    assert np.isfinite(slope[np.isfinite(y)]).all() or name == "stdplus_inverse"


@given(numbers())
def test_inverse_of_stdplus(drawn):
    """As near as an error of 3 units in the last place of stdplus leaves it."""
    dtype, values = drawn
    with dtype_enabled(dtype):
        x, y = applied(stdplus, dtype, values)
        _, back = applied(stdplus_inverse, dtype, y)
    kept = (y >= SMALLEST_NORMAL[dtype]) & np.isfinite(y)
    np.testing.assert_array_less(np.abs(back - x)[kept], 6 * EPSILON[dtype] * (1 + np.abs(x))[kept])


@given(numbers(positive=True))
def test_stdplus_of_inverse(drawn):
    dtype, values = drawn
    with dtype_enabled(dtype):
        y, x = applied(stdplus_inverse, dtype, values)
        _, back = applied(stdplus, dtype, x)
    # An error of x counts by the slope of the logarithm: about |x| on the left.
    relative = 6 * EPSILON[dtype] * (1 + np.where(y < 1, x, 0.0) ** 2)
    kept = (y >= SMALLEST_NORMAL[dtype]) & (back >= SMALLEST_NORMAL[dtype])
    kept &= np.isfinite(back) & (relative < 0.5)
    assert (np.abs(back / y - 1)[kept] <= relative[kept]).all()


@given(numbers())
def test_logarithm(drawn):
    """That of stdplus, and with `r = 2 log_stdplus(x)` it is `expm1(r) - r = x^2`."""
    dtype, values = drawn
    with dtype_enabled(dtype):
        x, y = applied(stdplus, dtype, values)
        _, log_y = applied(log_stdplus, dtype, values)
    kept = (y >= SMALLEST_NORMAL[dtype]) & np.isfinite(y)
    tolerance = 4 * EPSILON[dtype] * (1 + np.abs(log_y))
    assert (np.abs(np.log(y[kept]) - log_y[kept]) <= tolerance[kept]).all()

    kept = np.isfinite(log_y) & (np.abs(x) > 2.0**-8) & (np.abs(x) < 2.0**100)
    x, r = x[kept], 2 * log_y[kept]
    error = 4 * EPSILON[dtype] * np.abs(r * np.expm1(r))
    rounding = 64 * EPSILON["float64"] * (np.abs(np.expm1(r)) + np.abs(r))
    assert (np.abs(np.expm1(r) - r - x**2) <= error + rounding).all()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@given(numbers(positive=True))
def test_dtype_and_shape_stay(name, drawn):
    dtype, values = drawn
    with dtype_enabled(dtype):
        y = FUNCTIONS[name](keras.ops.reshape(tensor(values, dtype), (4, 4)))
        assert keras.backend.standardize_dtype(y.dtype) == dtype
        assert tuple(y.shape) == (4, 4)
