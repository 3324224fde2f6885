"""stdplus, its logarithm and its inverse, elementwise (Eq. 13, appendix A).

With `s = log(stdplus(x))` the defining equation is `expm1(2 s) - 2 s = x^2`,
`sign(s) = sign(x)`. It is solved piece by piece:

| x                   | log stdplus(x)                  | stdplus(x)                |
|---------------------|---------------------------------|---------------------------|
| below -10           | -(x^2 + 1) / 2                  | split exponential         |
| -10 to -1           | Newton                          | split exponential         |
| -1 to -1/2          | Newton                          | exp(s)                    |
| -1/2 to 1/2         | Taylor                          | exp(s)                    |
| 1/2 to 2            | Newton                          | exp(s)                    |
| 2 to `_FAR[dtype]`  | Newton                          | sqrt(x^2 + 1 + 2 s)       |
| beyond              | log(x)                          | x                         |

The Newton step of the paper's Algorithm 1 cancels near 0, loses the tails to
the rounding of the exponent, and overflows; the pieces mend each of these.
"""

import math
from fractions import Fraction

import keras
from keras import ops

from keras_slashed.backend import with_derivative
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_float_tensor

_CENTRE = 0.5
_LEFT_TAIL = -10.0  # stdplus(-10)^2 / 2 is 2e-44: nothing beside (x^2 + 1) / 2
_ZERO = -40.0  # stdplus is 0 to the left of it, in float64 too


def _taylor_coefficients(count):
    """Return c with log stdplus(x) = x (c[0] + c[1] x + c[2] x^2 + ...).

    In t = x / sqrt(2) they are rational. They follow from the differential
    equation `s' = x / expm1(2 s)`, that is `v s' = t` for the series
    `v = expm1(2 s) / 2`, which itself obeys `v' = s' (1 + 2 v)`. With s_n and
    v_n the coefficients of t^n, the t^n of the first equation ties s_n and
    v_n together and the t^(n - 1) of the second gives v_n from s_n. The
    function is analytic for |x| < sqrt(2 pi).
    """
    s = [Fraction(0), Fraction(1)]
    v = [Fraction(0), Fraction(1)]
    for n in range(2, count + 1):
        # n v_n = n s_n + 2 sum_{0 < k < n} k s_k v_{n-k}
        known_v = 2 * sum(k * s[k] * v[n - k] for k in range(1, n)) / n
        # 0 = [t^n] v s' = n s_n v_1 + v_n s_1 + sum of the known products
        known = sum((n + 1 - k) * s[n + 1 - k] * v[k] for k in range(2, n))
        s_n = -(known + known_v) / (n + 1)
        s.append(s_n)
        v.append(s_n + known_v)
    return [float(c) * 0.5 ** (n / 2) for n, c in enumerate(s)][1:]


def _polynomial(coefficients, x):
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


# The first term left out is below a quarter of an ulp at |x| = 1/2, in the
# derivative too: |c_n| falls like sqrt(2 pi)^-n.
_LOG_TAYLOR = {"float32": _taylor_coefficients(13), "float64": _taylor_coefficients(27)}
_INVERSE_TAYLOR = [1.0 / math.factorial(k) for k in range(2, 20)]
_NEWTON_STEPS = {"float32": 4, "float64": 5}
_FAR = {"float32": 1e5, "float64": 1e9}  # from here on stdplus(x) rounds to x
_SPLIT = {"float32": 2.0**8, "float64": 2.0**20}


def _dtype(x):
    return keras.backend.standardize_dtype(x.dtype)


def _log_value(x):
    dtype = _dtype(x)
    far = _FAR[dtype]
    near = ops.abs(x) < _CENTRE
    series_x = ops.where(near, x, 0.0)
    series = series_x * _polynomial(_LOG_TAYLOR[dtype], series_x)
    # Newton's r <- r - (expm1(r) - r - x^2) / expm1(r) for r = 2 s, in the
    # form that keeps its digits, from the squareplus start of Algorithm 1.
    newton_x = ops.where(near, 1.0, ops.clip(x, _LEFT_TAIL, far))
    r = 2.0 * ops.arcsinh(0.5 * newton_x)
    for _ in range(_NEWTON_STEPS[dtype]):
        r = (r - 1.0) + (r + newton_x * newton_x) / ops.expm1(r)
    s = ops.where(near, series, 0.5 * r)
    s = ops.where(x < _LEFT_TAIL, -0.5 * x * x - 0.5, s)
    return ops.where(x > far, ops.log(ops.where(x > far, x, 1.0)), s)


def _log_derivative(x):
    """Return `x / (y^2 - 1)`, y = stdplus(x), without its 0/0."""
    dtype = _dtype(x)
    far = _FAR[dtype]
    near = ops.abs(x) < _CENTRE
    left = x < _LEFT_TAIL
    right = x > far
    slopes = [n * c for n, c in enumerate(_LOG_TAYLOR[dtype], start=1)]
    series = _polynomial(slopes, ops.where(near, x, 0.0))
    # Each branch sees arguments of its own piece only, so that no branch puts
    # an infinity or a NaN into the derivative of another.
    middle_x = ops.where(near | left | right, 1.0, x)
    y = _stdplus(middle_x)
    slope = middle_x / ((y - 1.0) * (y + 1.0))
    slope = ops.where(near, series, slope)
    slope = ops.where(left, -x, slope)
    return ops.where(right, 1.0 / ops.where(right, x, 1.0), slope)


def _value(x):
    dtype = _dtype(x)
    s = _log_stdplus(x)
    y = ops.exp(s)
    # exp(s) inherits |s| times the rounding of s. On the right the equation
    # itself mends it; on the left, an exponent whose large part is exact.
    right = x > 2.0
    right_x = ops.clip(ops.where(right, x, 2.0), 2.0, _FAR[dtype])
    root = ops.sqrt(right_x * right_x + 1.0 + 2.0 * ops.where(right, s, 0.0))
    y = ops.where(right, root, y)
    left_x = ops.clip(x, _ZERO, -1.0)
    head = ops.round(left_x * _SPLIT[dtype]) / _SPLIT[dtype]
    rest = (left_x - head) * (left_x + head)
    # y = exp(-(head^2 + 1) / 2) exp((y^2 - rest) / 2). The second factor is near
    # 1 and goes by expm1: XLA would put the product of two exp back together.
    large = ops.exp(-0.5 * (head * head + 1.0))
    small = ops.expm1(0.5 * (ops.exp(2.0 * ops.clip(s, _ZERO, 0.0)) - rest))
    y = ops.where(x < -1.0, large * (1.0 + small), y)
    return ops.where(x > _FAR[dtype], x, y)


def _derivative(x):
    """Return `x y / (y^2 - 1)` (Eq. 31): 1/sqrt(2) at 0, 0 and 1 far away."""
    right = x > _FAR[_dtype(x)]
    inner = ops.where(x < _ZERO, _ZERO, ops.where(right, 1.0, x))
    return ops.where(right, 1.0, _stdplus(inner) * _log_derivative(inner))


def _inverse_value(y):
    far = _FAR[_dtype(y)]
    r = 2.0 * ops.log(y)
    near = ops.abs(r) < 1.0
    # x^2 = expm1(r) - r = r^2 (1/2! + r/3! + r^2/4! + ...) near r = 0
    near_r = ops.where(near, r, 0.0)
    x = near_r * ops.sqrt(_polynomial(_INVERSE_TAYLOR, near_r))
    other = ops.where(near, 2.0, ops.where(y > far, far, y))
    square = (other - 1.0) * (other + 1.0) - ops.where(near, 0.0, r)
    x = ops.where(near, x, ops.sign(y - 1.0) * ops.sqrt(square))
    x = ops.where(y < 0.0, float("nan"), x)
    return ops.where(y > far, y, x)


def _inverse_derivative(y):
    """Return `(y - 1/y) / x`, x = stdplus_inverse(y), without its 0/0 at 1."""
    r = 2.0 * ops.log(y)
    near = ops.abs(r) < 1.0
    far = y > _FAR[_dtype(y)]
    zero = y == 0.0
    # With x = r sqrt(f(r)) near 1: y^2 - 1 = expm1(r) = r + r^2 f(r)
    near_y = ops.where(near, y, 1.0)
    near_r = 2.0 * ops.log(near_y)
    f = _polynomial(_INVERSE_TAYLOR, near_r)
    series = (1.0 + near_r * f) / (ops.sqrt(f) * near_y)
    other = ops.where(near | far | zero, 2.0, y)
    slope = (other - 1.0) * (other + 1.0) / (other * _stdplus_inverse(other))
    slope = ops.where(near, series, slope)
    return ops.where(zero, float("inf"), ops.where(far, 1.0, slope))


_log_stdplus = with_derivative(_log_value, _log_derivative)
_stdplus = with_derivative(_value, _derivative)
_stdplus_inverse = with_derivative(_inverse_value, _inverse_derivative)


class _Elementwise(keras.Operation):
    """An elementwise function, computed in float32 or wider and rounded once."""

    kernel = None

    def call(self, x):
        return ops.cast(type(self).kernel(at_least_float32(x)), x.dtype)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype=x.dtype)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(package="keras_slashed")(cls)


class Stdplus(_Elementwise):
    kernel = staticmethod(_stdplus)


class LogStdplus(_Elementwise):
    kernel = staticmethod(_log_stdplus)


class StdplusInverse(_Elementwise):
    kernel = staticmethod(_stdplus_inverse)


def stdplus(x):
    """Map any real number to a standard deviation.

    `y = stdplus(x)` is the `y > 0` with `log(y^2) - y^2 = -x^2 - 1` and
    `sign(y - 1) = sign(x)`: the standard deviation of a centred normal whose KL
    divergence from N(0, 1) is `x^2 / 2` nats. It grows like `x` on the right,
    falls like `exp(-(x^2 + 1) / 2)` on the left, and `stdplus(0) = 1`.

    Args:
        x: A tensor, Keras variable, `KerasTensor`, NumPy array or number of
            any shape and any float dtype. float16 and bfloat16 are computed
            in float32 and rounded.

    Returns:
        A tensor of the shape and dtype of `x`. `stdplus(-inf) = 0`,
        `stdplus(inf) = inf`, NaN stays NaN. Differentiable to every order; on
        JAX in forward mode too.

    Example:

    >>> [round(float(keras_slashed.ops.stdplus(x)), 4) for x in (-1.0, 0.0, 1.0)]
    [0.3982, 1.0, 1.7738]

    Reference:
        Slashed Normal, Eq. 13 and appendix A.
    """
    return _apply(Stdplus, x)


def log_stdplus(x):
    """Return the natural logarithm of `stdplus(x)`, accurate near 0 and far left.

    Args:
        x: As in `keras_slashed.ops.stdplus`.

    Returns:
        A tensor of the shape and dtype of `x`: about `x / sqrt(2)` near 0 and
        `-(x^2 + 1) / 2` far to the left, where it becomes -inf when that
        leaves the range of the dtype.

    Example:

    >>> round(float(keras_slashed.ops.log_stdplus(-20.0)), 4)
    -200.5

    Reference:
        Slashed Normal, appendix A.2.
    """
    return _apply(LogStdplus, x)


def stdplus_inverse(y):
    """Return the `x` with `stdplus(x) = y`.

    `x = sign(y - 1) sqrt(y^2 - 1 - 2 log y)`, computed without the
    cancellation near `y = 1`.

    Args:
        y: A positive tensor, Keras variable, `KerasTensor`, NumPy array or
            number of any shape and float dtype.

    Returns:
        A tensor of the shape and dtype of `y`. 0 gives -inf, inf gives inf, a
        negative number gives NaN.

    Example:

    >>> round(float(keras_slashed.ops.stdplus_inverse(2.0)), 4)
    1.2703

    Reference:
        Slashed Normal, Eq. 25 solved for x.
    """
    return _apply(StdplusInverse, y)


def _apply(operation, x):
    return operation()(to_float_tensor(x))
