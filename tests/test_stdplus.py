"""stdplus, its logarithm, its inverse and their derivatives.

Two references, which share no code with the library: mpmath's Lambert W at 120
digits, and, for the many points of low precision, a solver in NumPy float64 that
is itself held against the first.
"""

import os
import pathlib
import subprocess
import sys

import keras
import ml_dtypes
import mpmath
import numpy as np
import pytest

from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from tests.support import BACKEND
from tests.support import FLOAT_DTYPES
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy

FUNCTIONS = (stdplus, log_stdplus, stdplus_inverse)
WIDE = ("float32", "float64")
NARROW = ("float16", "bfloat16")
# Beyond their left ends stdplus is subnormal, which XLA flushes to 0.
MIDDLE = ((-4.0, -1.0), (-1.0, -0.5), (-0.5, 0.5), (0.5, 2.0), (2.0, 10.0))
REGIONS = {
    "float32": ((-13.1, -4.0), *MIDDLE),
    "float64": ((-37.0, -13.1), (-13.1, -4.0), *MIDDLE),
}
# Where the implementation passes from one formula to the next.
BOUNDARIES = (-40.0, -10.0, -1.0, -0.5, 0.5, 2.0, 1e5, 1e9)
SIZE = 2**11
MP = mpmath.MPContext()
MP.dps = 120  # half of them are lost near 0, where y^2 - 1 is 1e-30


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


@pytest.fixture(params=WIDE)
def wide_dtype(request):
    with dtype_enabled(request.param):
        yield request.param


def evaluate(function, values, dtype):
    """Return `function` of a tensor of values, in NumPy.

    In pieces of one size: JAX compiles each operation anew for every size.
    """
    padded = np.append(values, np.ones(-len(values) % SIZE))
    pieces = [function(tensor(x, dtype)) for x in padded.reshape(-1, SIZE)]
    return np.concatenate([to_numpy(piece) for piece in pieces])[: len(values)]


def derivative(function, order=1):
    """Return the elementwise derivative of an elementwise function."""
    if order == 0:
        return function
    lower = derivative(function, order - 1)
    return lambda x: gradient(lower, x)


# --- The references


def exact_stdplus(x):
    """y^2 = -W(-exp(-x^2 - 1)), of the branch W_0 left of 0 and W_-1 right of it."""
    x = MP.mpf(x)
    if x == 0:
        return MP.one
    return MP.sqrt(-MP.lambertw(-MP.exp(-1 - x * x), 0 if x < 0 else -1).real)


def exact_log(x):
    return MP.log(exact_stdplus(x))


def exact_slope(x):
    """Eq. 31, whose 0/0 at 0 is 1 / sqrt(2)."""
    y = exact_stdplus(x)
    return MP.mpf(x) * y / (y * y - 1) if x else 1 / MP.sqrt(2)


def exact_log_slope(x):
    return exact_slope(x) / exact_stdplus(x)


def exact_inverse(y):
    y = MP.mpf(y)
    return MP.sign(y - 1) * MP.sqrt(y * y - 1 - 2 * MP.log(y))


def exact_inverse_slope(y):
    """dx/dy = (y - 1/y) / x."""
    y = MP.mpf(y)
    return (y - 1 / y) / exact_inverse(y) if y != 1 else MP.sqrt(2)


def numpy_inverse_of_log(s):
    """The x with log stdplus(x) = s, in float64: x^2 = expm1(2 s) - 2 s."""
    r = 2.0 * np.asarray(s, "float64")
    # Near 0 the difference cancels, and its Taylor series does not.
    small = np.where(np.abs(r) < 0.5, r, 0.0)
    series = sum(small**k / float(MP.factorial(k + 2)) for k in range(16))
    near = np.abs(small) * np.sqrt(series)
    x = np.where(np.abs(r) < 0.5, near, np.sqrt(np.expm1(r) - r))
    return np.copysign(x, r)


def numpy_log_stdplus(x):
    """Newton's method, in float64, on `numpy_inverse_of_log(s) = x`."""
    zero = np.asarray(x) == 0.0
    x = np.where(zero, 1.0, x)
    s = np.where(x < -1.0, -0.5 * (x * x + 1.0), np.where(x > 1.0, np.log(np.abs(x) + 1.0), x))
    for _ in range(12):
        at_s = numpy_inverse_of_log(s)
        s = s - (at_s - x) * at_s / np.expm1(2.0 * s)
    return np.where(zero, 0.0, s)


def numpy_slopes(x):
    """The derivatives of stdplus and log_stdplus."""
    s = numpy_log_stdplus(x)
    slope = np.where(x == 0.0, 0.5**0.5, x / np.where(s == 0.0, 1.0, np.expm1(2.0 * s)))
    return slope * np.exp(s), slope


def ulps(computed, exact, dtype):
    """Return the errors of `computed`, in units of the last place of `exact`.

    Exact values are floats or mpmath numbers. A subnormal that became 0 counts
    as right, as XLA on a CPU knows no others, and so does an infinity for what
    is beyond the largest number.
    """
    info = ml_dtypes.finfo(dtype)
    computed = np.float64(computed)
    rounded = np.array([float(value) for value in exact])
    flushed = (np.abs(rounded) < float(info.tiny)) & (computed == 0.0)
    beyond = (np.abs(rounded) > float(info.max)) & (computed == np.copysign(np.inf, rounded))
    error = np.array([abs(float(c - e)) for c, e in zip(computed.tolist(), exact)])
    exponent = np.maximum(np.frexp(rounded)[1] - 1, info.minexp)
    return np.ldexp(np.where(flushed | beyond, 0.0, error), info.nmant - exponent)


def test_references_agree():
    x = np.concatenate([-np.logspace(-30, 1.5, 60), np.logspace(-30, 30, 80)])
    slope, log_slope = numpy_slopes(x)
    for computed, exact in (
        (numpy_log_stdplus(x), exact_log),
        (slope, exact_slope),
        (log_slope, exact_log_slope),
    ):
        expected = [float(exact(value)) for value in x]
        np.testing.assert_allclose(computed, expected, rtol=1e-12)


def test_reference_is_a_solution():
    """The defining equation, and Eq. 31 against mpmath's numerical derivative."""
    for x in (-3.0, -0.2, 0.3, 5.0):
        y = exact_stdplus(x)
        assert abs(MP.log(y * y) - y * y + MP.mpf(x) ** 2 + 1) < 1e-100
        assert (y > 1) == (x > 0)
        assert abs(MP.diff(exact_stdplus, x) - exact_slope(x)) < 1e-100


# --- Accuracy


def points(dtype, count=50):
    """Return points of every region and around every boundary, as float64."""
    rng = np.random.default_rng(0)
    x = [rng.uniform(low, high, count) for low, high in REGIONS[dtype]]
    x += [10.0 ** rng.uniform(1.0, 4.0, count), 10.0 ** rng.uniform(4.0, 30.0, count)]
    x += [sign * np.array([0.0, 1e-30, 1e-15, 1e-8, 1e-4, 0.01]) for sign in (-1.0, 1.0)]
    boundary = np.array(BOUNDARIES, dtype)
    for direction in (-np.inf, np.inf):
        side = boundary
        for _ in range(3):
            x.append(side)
            side = np.nextafter(side, side.dtype.type(direction))
    return np.concatenate(x).astype(dtype).astype("float64")


def assert_close_in_ulps(function, exact, x, dtype, bound):
    errors = ulps(evaluate(function, x, dtype), exact, dtype)
    worst = errors.argmax()
    assert errors[worst] <= bound, f"{errors[worst]:.2f} ulp at {x[worst]!r}"


# A little above what was measured on 12,000 points of each region, the worst of
# JAX, TensorFlow and PyTorch on a CPU: 3.3, 4.4, 7.9 and 7.5 ulp.
ACCURACY = (
    (stdplus, exact_stdplus, 3.5),
    (log_stdplus, exact_log, 5.0),
    (derivative(stdplus), exact_slope, 9.0),
    (derivative(log_stdplus), exact_log_slope, 8.5),
)


@pytest.mark.parametrize(
    ("function", "exact", "bound"),
    ACCURACY,
    ids=("stdplus", "log_stdplus", "gradient", "log_gradient"),
)
@pytest.mark.parametrize("jit", [False] if BACKEND == "torch" else [False, True])
def test_accuracy(jit, function, exact, bound, wide_dtype):
    """Compiled too: XLA rewrites exp(a) exp(b), for one, as exp(a + b)."""
    x = points(wide_dtype)
    function = compiled(function) if jit else function
    assert_close_in_ulps(function, [exact(value) for value in x], x, wide_dtype, bound)


def inverse_points(dtype):
    regions = ((1e-37, 1e-4), (1e-4, 0.1), (0.1, 0.6), (0.6, 0.99), (0.99, 1.01), (1.01, 1.7))
    rng = np.random.default_rng(0)
    y = [np.exp(rng.uniform(np.log(low), np.log(high), 50)) for low, high in regions]
    one = np.ones(1, dtype)
    y += [10.0 ** rng.uniform(0.2, 30.0, 50), one]
    y += [np.nextafter(one, 0 * one), np.nextafter(one, 2 * one)]
    return np.concatenate(y).astype(dtype).astype("float64")


def test_inverse_accuracy(wide_dtype):
    """Measured, as above: 3.7 ulp."""
    y = inverse_points(wide_dtype)
    exact = [exact_inverse(value) for value in y]
    assert_close_in_ulps(stdplus_inverse, exact, y, wide_dtype, 4.0)


def test_inverse_gradient_accuracy(wide_dtype):
    """The derivative is `(y - 1/y) / x`, well conditioned in y."""
    y = inverse_points(wide_dtype)
    exact = [exact_inverse_slope(value) for value in y]
    assert_close_in_ulps(derivative(stdplus_inverse), exact, y, wide_dtype, 8.0)


def every_value(dtype):
    """Return every finite number of a 16-bit dtype, as float64."""
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float16
    with np.errstate(invalid="ignore"):
        values = np.arange(2**16, dtype="uint16").view(kind).astype("float64")
    return values[np.isfinite(values)]


def reaching_float32(x):
    """Leave out where stdplus is subnormal in float32: XLA has 0 there."""
    return x[(x > -13.1) | (x < -15.0)]


@pytest.mark.parametrize("dtype", NARROW)
def test_every_16_bit_value_is_rounded_correctly(dtype):
    """Rounding alone is half an ulp; float32 before it adds a thousandth."""
    x = reaching_float32(every_value(dtype))
    log = numpy_log_stdplus(x)
    slope, log_slope = numpy_slopes(x)
    for (function, *_), exact in zip(ACCURACY, (np.exp(log), log, slope, log_slope)):
        assert_close_in_ulps(function, exact, x, dtype, 0.51)


@pytest.mark.parametrize("dtype", NARROW)
def test_every_16_bit_value_is_inverted_correctly(dtype):
    y = every_value(dtype)
    # bfloat16's subnormals are float32's, which XLA flushes to 0.
    y = y[y >= float(ml_dtypes.finfo("float32").tiny)]
    exact = numpy_inverse_of_log(np.log(y))
    assert_close_in_ulps(stdplus_inverse, exact, y, dtype, 0.51)


def test_many_float32_values():
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-30.0, 30.0, 10_000)
    x = np.concatenate([rng.uniform(-14.0, 14.0, 30_000), sizes, -sizes])
    x = reaching_float32(x.astype("float32").astype("float64"))
    log = numpy_log_stdplus(x)
    slope, log_slope = numpy_slopes(x)
    for (function, _, bound), exact in zip(ACCURACY, (np.exp(log), log, slope, log_slope)):
        assert_close_in_ulps(function, exact, x, "float32", bound)


# --- Derivatives of higher order, and against differences


def check_derivative(function, exact, order, dtype):
    x = np.array([-9.5, -5, -2, -1, -0.75, -0.49, -0.1, -1e-8, 0, 1e-30, 1e-4, 0.3, 1, 3, 10, 30])
    x = x.astype(dtype).astype("float64")
    rtol = {"float32": 1e-4, "float64": 1e-9}[dtype]
    expected = [float(MP.diff(exact, value, order)) for value in x]
    computed = evaluate(derivative(function, order), x, dtype)
    np.testing.assert_allclose(computed, expected, rtol=rtol, atol=1e-6 * rtol)


@pytest.mark.parametrize(
    ("function", "exact"), [(stdplus, exact_stdplus), (log_stdplus, exact_log)]
)
def test_second_derivative(function, exact, wide_dtype):
    check_derivative(function, exact, 2, wide_dtype)


def test_third_derivative():
    with dtype_enabled("float64"):
        check_derivative(stdplus, exact_stdplus, 3, "float64")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_is_that_of_the_values(function):
    """Central differences, which know no formula at all."""
    x = np.array([0.02, 0.3, 0.7, 0.999, 1.2, 1.9, 2.1, 7.0])
    if function is not stdplus_inverse:
        x = np.concatenate([-x, x])
    step = 1e-5
    with dtype_enabled("float64"):
        above, below = (evaluate(function, x + h, "float64") for h in (step, -step))
        computed = evaluate(derivative(function), x, "float64")
    np.testing.assert_allclose(computed, (above - below) / (2 * step), rtol=1e-6)


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
    # 1 / sqrt(2) is no number of any dtype: its neighbours will do.
    np.testing.assert_allclose(computed, expected, rtol=float(ml_dtypes.finfo(dtype).eps))
    exact = expected != to_numpy(tensor(0.5**0.5, dtype))
    np.testing.assert_array_equal(computed[exact], expected[exact])


def extreme_values(dtype):
    info = ml_dtypes.finfo(dtype)
    values = [0.0, float(info.smallest_subnormal), float(info.tiny), 1e-20, 1e-8, 13.3, 38.0]
    values += [255.0, 256.0, 1e4, 1e5, 1.3e19, 1e19, 2e19, 1e30, 1e160, float(info.max)]
    values += [abs(boundary) for boundary in BOUNDARIES]
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


def test_round_trip(wide_dtype):
    x = np.concatenate([np.linspace(-12.0, 12.0, 97), [-1e-3, 1e-3, 1e4, 1e20]])
    again = evaluate(lambda x: stdplus_inverse(stdplus(x)), x, wide_dtype)
    tolerance = 8 * np.finfo(wide_dtype).eps
    # An x much nearer to 0 than stdplus(x) to the next number cannot come back.
    np.testing.assert_allclose(again, x, rtol=tolerance, atol=tolerance)


# --- Kinds of arguments


@pytest.fixture
def floatx_float16():
    keras.config.set_floatx("float16")
    yield
    keras.config.set_floatx("float32")


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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_reaches_a_variable(function):
    values = np.full(SIZE, 0.25, "float32")
    variable = keras.Variable(values)
    expected = evaluate(derivative(function), values, "float32")
    np.testing.assert_array_equal(to_numpy(function(variable)), to_numpy(function(values)))
    if BACKEND == "jax":

        def of_state(state):
            with keras.StatelessScope(state_mapping=[(variable, state)]):
                return function(variable)

        computed = gradient(of_state, values)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            y = tf.reduce_sum(function(variable))
        computed = tape.gradient(y, variable.value)
    else:
        function(variable).sum().backward()
        computed = variable.value.grad
    np.testing.assert_array_equal(to_numpy(computed), expected)


# --- Transformations of each backend

X = np.array([-9.0, -0.7, 0.25, 1.0, 3.0, 2e5], "float32")


def value_and_derivatives(function):
    return [evaluate(derivative(function, order), X, "float32") for order in (0, 1, 2)]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_equals_eager(function, dtype):
    # A compiler may fuse a product and a sum, which moves a last place.
    rtol = 16 * float(ml_dtypes.finfo(dtype).eps)
    x = np.abs(X) if function is stdplus_inverse else X
    for f in (function, derivative(function)):
        expected = evaluate(f, x, dtype)
        np.testing.assert_allclose(evaluate(compiled(f), x, dtype), expected, rtol=rtol)


@pytest.mark.skipif(BACKEND != "jax", reason="of JAX")
def test_jax_transformations():
    import jax

    value, slope, curvature = value_and_derivatives(stdplus)

    def check(transformed, expected):
        np.testing.assert_allclose(jax.jit(transformed)(X), expected, rtol=1e-5)

    check(jax.vmap(stdplus), value)
    check(jax.vmap(jax.grad(stdplus)), slope)
    check(lambda x: jax.jvp(stdplus, (x,), (2.0 * x,))[1], 2.0 * X * slope)
    check(jax.jacfwd(stdplus), np.diag(slope))
    check(jax.jacrev(stdplus), np.diag(slope))
    check(jax.hessian(lambda x: stdplus(x).sum()), np.diag(curvature))
    check(jax.vmap(jax.jacfwd(jax.jacfwd(stdplus))), curvature)


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
# Forward mode loads decompositions that torch itself scripts.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("function", [stdplus, log_stdplus])
def test_torch_transformations(function):
    import torch
    from torch.func import grad
    from torch.func import jvp
    from torch.func import vmap

    x = torch.from_numpy(X)
    value, slope, curvature = value_and_derivatives(function)
    np.testing.assert_allclose(grad(function)(x[2]), slope[2], rtol=1e-6)
    np.testing.assert_allclose(vmap(function)(x), value, rtol=1e-6)
    np.testing.assert_allclose(vmap(grad(function))(x), slope, rtol=1e-6)
    np.testing.assert_allclose(vmap(grad(grad(function)))(x), curvature, rtol=1e-5)
    y, tangent = jvp(function, (x,), (2.0 * x,))
    np.testing.assert_allclose(y, value, rtol=1e-6)
    np.testing.assert_allclose(tangent, 2.0 * X * slope, rtol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("function", [stdplus, log_stdplus])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_tensorflow_functions(function, jit_compile):
    """tf.function around nested tapes, of an input of unknown rank."""
    import tensorflow as tf

    def derivatives(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = function(x)
            first = inner.gradient(y, x)
        return y, first, outer.gradient(first, x)

    signature = [tf.TensorSpec(None, "float32")]
    graph = tf.function(derivatives, input_signature=signature, jit_compile=jit_compile)
    for computed, expected in zip(graph(X), value_and_derivatives(function)):
        np.testing.assert_allclose(computed, expected, rtol=1e-5)


# --- Imports


def run_with_backend(backend, statement):
    """Import the library afresh, then run a statement.

    Returns the frameworks that the library, beyond Keras, tried to import, and
    what the statement printed. A watch over attempts, since only one framework
    is installed.
    """
    script = f"""
import sys

class Watch:
    tried = set()

    def find_spec(self, name, path=None, target=None):
        self.tried.add(name)

import keras
sys.meta_path.insert(0, Watch())
import keras_slashed
{statement}
print(*sorted(Watch.tried & {{"jax", "tensorflow", "torch"}}))
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": backend},
        cwd=pathlib.Path(__file__).parents[1],
    )
    assert result.returncode == 0, result.stderr
    *printed, tried = result.stdout.split("\n")[:-1]
    return tried, printed


def test_import_of_no_other_backend():
    tried, _ = run_with_backend(BACKEND, "")
    assert tried == ""


@pytest.mark.skipif(BACKEND != "jax", reason="Keras' NumPy backend imports JAX itself")
def test_inference_on_the_numpy_backend():
    tried, printed = run_with_backend("numpy", "print(float(keras_slashed.ops.stdplus(1.0)))")
    assert tried == ""
    np.testing.assert_allclose(float(printed[0]), float(exact_stdplus(1.0)), rtol=1e-6)
