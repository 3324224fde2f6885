"""stdplus, its logarithm and its inverse: exact and extreme values, kinds of arguments."""

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from keras_slashed.ops import stdplus_kernels as kernels
from tests.keras_slashed.ops.test_stdplus_precision import seams
from tests.support import FLOAT_DTYPES
from tests.support import derivative
from tests.support import dtype_enabled
from tests.support import evaluate
from tests.support import floatx
from tests.support import tensor
from tests.support import to_numpy

FUNCTIONS = (stdplus, log_stdplus, stdplus_inverse)
SIZE = 2**11


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


# --- Exact and extreme values


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (stdplus, [0, -0.0, -np.inf, np.inf, np.nan], [1, 1, 0, np.inf, np.nan]),
        (log_stdplus, [0, -0.0, -np.inf, np.inf, np.nan], [0, 0, -np.inf, np.inf, np.nan]),
        (stdplus_inverse, [1, 0, np.inf, -1, np.nan], [0, -np.inf, np.inf, np.nan, np.nan]),
        (derivative(stdplus), [0, -np.inf, np.inf, np.nan], [0.5**0.5, 0, 1, np.nan]),
        (derivative(log_stdplus), [0, -np.inf, np.inf, np.nan], [0.5**0.5, np.inf, 0, np.nan]),
    ],
    ids=("stdplus", "log_stdplus", "stdplus_inverse", "gradient", "log_gradient"),
)
def test_exact_values(function, x, expected, dtype):
    computed = evaluate(function, x, dtype)
    expected = to_numpy(tensor(expected, dtype))
    # 1 / sqrt(2) is no number of any dtype: its neighbors will do.
    np.testing.assert_allclose(computed, expected, rtol=float(ml_dtypes.finfo(dtype).eps))
    exact = expected != to_numpy(tensor(0.5**0.5, dtype))
    np.testing.assert_array_equal(computed[exact], expected[exact])


def extreme_values(dtype):
    info = ml_dtypes.finfo(dtype)
    values = [0.0, float(info.smallest_subnormal), float(info.tiny), 1e-20, 1e-8, 13.3, 38.0]
    values += [255.0, 256.0, 1e4, 1e5, 1.3e19, 1e19, 2e19, 1e30, 1e160, float(info.max)]
    for wide in ("float32", "float64"):
        values += [abs(seam) for inverse in (False, True) for seam in seams(inverse, wide)]
    return np.append(np.minimum(values, float(info.max)), np.inf)


@pytest.mark.parametrize("function", [stdplus, log_stdplus])
def test_no_input_gives_nan(function, dtype):
    """Nor does a finite one an infinite gradient, of first or second order."""
    x = extreme_values(dtype)
    x = np.concatenate([-x, x])
    finite = np.isfinite(x)
    for order in (0, 1, 2):
        computed = evaluate(derivative(function, order), x, dtype)
        assert not np.isnan(computed).any()
        if order > 0 or function is stdplus:
            assert np.isfinite(computed[finite]).all()


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_nan_stays_nan(function, order, dtype):
    assert np.isnan(evaluate(derivative(function, order), [np.nan, 0.3], dtype))[0]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_no_positive_input_of_the_inverse_gives_nan(order, dtype):
    computed = evaluate(derivative(stdplus_inverse, order), extreme_values(dtype), dtype)
    assert not np.isnan(computed).any()


@pytest.mark.parametrize("order", [0, 1])
def test_inverse_of_normal_numbers_is_finite(order, dtype):
    """The largest gradients are 3,700 in float16, 6e36 in float32."""
    info = ml_dtypes.finfo(dtype)
    y = [float(info.tiny), float(info.max)]
    assert np.isfinite(evaluate(derivative(stdplus_inverse, order), y, dtype)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip(dtype):
    x = np.concatenate([np.linspace(-12.0, 12.0, 97), [-1e-3, 1e-3, 1e4, 1e20]])
    again = evaluate(lambda x: stdplus_inverse(stdplus(x)), x, dtype)
    tolerance = 8 * np.finfo(dtype).eps
    # An x much nearer to 0 than stdplus(x) to the next number cannot come back.
    np.testing.assert_allclose(again, x, rtol=tolerance, atol=tolerance)


# --- Kinds of arguments


@pytest.fixture
def floatx_float16():
    with floatx("float16"):
        yield


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("value", [1, 2.0, np.int64(2)])
def test_numbers_are_floats(function, value):
    computed = function(value)
    assert keras.backend.standardize_dtype(computed.dtype) == "float32"
    expected = function(tensor(value, "float32"))
    np.testing.assert_array_equal(to_numpy(computed), to_numpy(expected))


@pytest.mark.usefixtures("floatx_float16")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("value", [1, np.int64(2)])
def test_integers_become_floatx(function, value):
    assert keras.backend.standardize_dtype(function(value).dtype) == "float16"


@pytest.mark.parametrize(
    "kernel", [name for name in vars(kernels) if name.startswith(("stdplus", "log_stdplus"))]
)
def test_kernels_do_not_depend_on_floatx(kernel):
    """TensorFlow makes numbers `floatx`, and adds no tensors of different dtypes."""
    function, x = getattr(kernels, kernel), [0.5, 1.0, 2.0, 40.0, 1e12]
    for dtype in ("float32", "float64"):
        with dtype_enabled("float64"):
            arguments = [tensor(x, dtype)] * (2 if kernel.endswith("derivative") else 1)
            expected = to_numpy(function(*arguments))
            for name in FLOAT_DTYPES:
                with floatx(name):
                    computed = function(*arguments)
                assert keras.backend.standardize_dtype(computed.dtype) == dtype
                np.testing.assert_array_equal(to_numpy(computed), expected)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", [(), (SIZE,)])
def test_arrays_keep_dtype_and_shape(function, shape, dtype):
    x = tensor(np.ones(shape), dtype)
    if dtype != "bfloat16":
        x = to_numpy(x)
    y = function(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    assert tuple(y.shape) == shape


@pytest.mark.parametrize("function", FUNCTIONS)
def test_symbolic(function, dtype):
    y = function(keras.KerasTensor((None, 3, None), dtype=dtype))
    assert isinstance(y, keras.KerasTensor)
    assert y.shape == (None, 3, None)
    assert y.dtype == dtype


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functional_model_is_saved_and_loaded(function, tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, function(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.array([[0.25, 1.0, 3.0]], "float32")
    np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(function(x)))
