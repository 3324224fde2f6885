"""Direct formulas for stdplus, its logarithm, its inverse and their derivatives.

They are elementwise functions of float32 or float64 tensors, without iteration. With
`y = stdplus(x)` and `s = log y`, the defining equation is `y^2 - 1 - 2 s = x^2`
(Eq. 13).

Each function consists of a left, a center and a right piece. All pieces are computed for
every element. If a piece could give a NaN or an infinity that would enter a derivative,
the argument is first moved into the interval of the piece.
"""

from keras import ops
from keras.backend import standardize_dtype

from keras_slashed.ops.stdplus_coefficients import COEFFICIENTS

# To the left of this, stdplus is 0, in float64 too, and its logarithm is -x^2 / 2.
_ZERO = -40.0
# From here on, stdplus(x) = x to rounding.
_FAR = {"float32": 2.0**17, "float64": 2.0**30}
# Over the left tail, numbers with this many binary places have exact squares.
_PLACES = {"float32": 2.0**8, "float64": 2.0**20}
_UP = 2.0**40
_INFINITY = float("inf")


# --- stdplus


def stdplus(x):
    """Return y, from x."""
    dtype = _dtype(x)
    blocks = COEFFICIENTS[dtype]
    start, end = blocks.get("CENTRE", blocks["RIGHT"]).start, blocks["RIGHT"].end
    left = x < start
    right_x = ops.clip(x, start, end)

    # exp converts a rounding error of its argument, which is up to 90 in float32, to a
    # relative error. So x = head + rest, where -(head^2 + 1) / 2 is exact. The head is
    # rounded toward 0, so that exp_head is a normal number where y is one. `ops.ceil` would
    # return float32 for float64.
    left_x = ops.clip(x, _ZERO, -0.5)
    head = ops.round(left_x * _PLACES[dtype] + 0.5) * (1.0 / _PLACES[dtype])
    rest = 0.5 * (head - left_x) * (head + left_x)
    exp_head = ops.exp(-0.5 * (head * head + 1.0))
    expm1_rest = rest * (1.0 + rest * (0.5 + rest * (1 / 6 + rest * (1 / 24))))
    root_t = exp_head * (1.0 + expm1_rest)
    of_t = _rational(blocks["LEFT"], root_t * root_t)
    q = _divide(_select(left, of_t, _right_rational(right_x)))

    # Both exp_head (1 + expm1_rest) (1 + q) and 1 + x + x q are computed as
    # first + scale (offset + factor q). The first part is the larger one, so that only the
    # last sum has a noticeable rounding error. Near the end of the range the smaller part is
    # subnormal, and some processors flush it to 0. The factor _UP prevents this.
    scale = ops.where(left, exp_head * _UP, 1.0)
    positive = x >= 0.0
    first = ops.where(left, scale, ops.where(positive, x, 1.0 + x))
    # TensorFlow makes a tensor of the dtype `floatx` of a choice between two Python numbers.
    offset = ops.where(left, expm1_rest, ops.cast(positive, dtype))
    factor = ops.where(left, 1.0 + expm1_rest, right_x)
    y = first + scale * (offset + factor * q)
    y = ops.where(left, y * (1.0 / _UP), y)
    if dtype == "float64":
        mended = (x > blocks["RIGHT"].start) & (x < _FAR[dtype])
        near_y = ops.where(mended, y, 3.0)
        step, _ = _newton(ops.where(mended, x, 3.0), near_y)
        y = ops.where(x < _FAR[dtype], y + ops.where(mended, near_y * _divide(step), 0.0), x)
    return y


def _right_rational(x):
    """Return the q of `stdplus(x) = 1 + x + x q` as a fraction."""
    blocks = COEFFICIENTS[_dtype(x)]
    if "CENTRE" not in blocks:
        return _rational(blocks["RIGHT"], x)
    right = _rational(blocks["RIGHT"], _clip(blocks["RIGHT"], x))
    centre = _rational(blocks["CENTRE"], _clip(blocks["CENTRE"], x))
    return _select(x > blocks["RIGHT"].start, right, centre)


def _newton(x, y):
    """Return Newton's step for log y at x > 1 as a fraction, and log y."""
    s = ops.log(y)
    return (1.0 + 2.0 * s - (y - x) * (y + x), 2.0 * (y - 1.0) * (y + 1.0)), s


def stdplus_derivative(x, y):
    """Return `x y / (y^2 - 1)` (Eq. 31), which is 0/0 at 0, from x and stdplus(x)."""
    block = COEFFICIENTS[_dtype(x)]["DERIVATIVE_CENTRE"]
    far = _FAR[_dtype(x)]
    left, right = x < block.start, x > block.end
    # These forms have only one noticeable rounding error: -x y + x y^3 / (y^2 - 1) on the
    # left, 1 + (1 - y (y - x)) / (y^2 - 1) on the right, 5/8 + q in the center.
    near_x = ops.clip(x, _ZERO, far)
    near_y = ops.clip(y, 0.0, far)
    product = near_x * near_y
    denominator = (near_y - 1.0) * (near_y + 1.0)
    on_left = (product * near_y * near_y, denominator)
    on_right = (1.0 - near_y * (near_y - near_x), denominator)
    on_centre = _rational(block, _clip(block, x))
    q = _divide(_select(left, on_left, _select(right, on_right, on_centre)))
    return ops.where(left, -product, ops.where(right, ops.ones_like(x), 0.625)) + q


def stdplus_second_derivative(x, y):
    """Return the second derivative from x and stdplus(x)."""
    block = COEFFICIENTS[_dtype(x)]["SECOND_DERIVATIVE_CENTRE"]
    left, right = x < block.start, (x > block.end) & (x < _INFINITY)
    # y ((x / d)^2 (1 + y^2) - 1) / -d, with d = y^2 - 1
    left_x = ops.where(left & (x > _ZERO), x, -2.0)
    left_y = ops.where(left, y, 0.25)
    d = (left_y - 1.0) * (left_y + 1.0)
    on_left = left_y * (1.0 - (left_x / d) ** 2 * (1.0 + left_y * left_y)) / d
    # y (4 s^2 + 2 x^2 (s - 1)) / d^3, with d = y^2 - 1 = x^2 + 2 s, in powers of 1 / x
    right_y = ops.where(right, y, 3.0)
    s = ops.log(right_y)
    inverse = 1.0 / ops.where(right, x, 3.0)
    square = inverse * inverse
    part = 1.0 / (1.0 + 2.0 * s * square)
    on_right = right_y * inverse * inverse * part**3
    on_right = on_right * (4.0 * (s * square) * s + 2.0 * (s - 1.0)) * square
    on_centre = _divide(_rational(block, _near_zero(block, x)))
    curvature = ops.where(left, on_left, ops.where(right, on_right, on_centre))
    return ops.where(x == _INFINITY, 0.0, curvature)


# --- log stdplus


def log_stdplus(x):
    """Return s, from x."""
    dtype = _dtype(x)
    blocks = COEFFICIENTS[dtype]
    block = blocks["LOG_CENTRE"]
    left, right = x < block.start, x > block.end
    # (t q - x^2 - 1) / 2 with t = exp(-x^2 - 1)
    left_x = ops.clip(x, _ZERO, block.start)
    t = ops.exp(-1.0 - left_x * left_x)
    of_t = _rational(blocks["LOG_LEFT"], t)
    # The Newton step for log y also corrects the rounding error of y.
    near_x = ops.clip(x, block.end, _FAR[dtype])
    right_x = _clip(blocks["RIGHT"], near_x)
    step, log_y = _newton(near_x, near_x + (1.0 + right_x * _divide(_right_rational(right_x))))
    of_x = _rational(block, _clip(block, x))
    q = _divide(_select(left, of_t, _select(right, step, of_x)))
    far = x > _FAR[dtype]
    log_y, q = ops.where(far, ops.log(ops.where(far, x, 1.0)), log_y), ops.where(far, 0.0, q)
    on_left = 0.5 * (t * q - 1.0) - 0.5 * x * x
    return ops.where(left, on_left, ops.where(right, log_y + q, x * (0.5625 + q)))


def log_stdplus_derivative(x, s):
    """Return `x / (y^2 - 1)` from x and log stdplus(x)."""
    block = COEFFICIENTS[_dtype(x)]["LOG_DERIVATIVE_CENTRE"]
    left, right = x < block.start, x > block.end
    on_left = (-x, 1.0 - ops.exp(2.0 * ops.where(left, s, -1.0)))
    right_x = ops.where(right, x, 1.0)
    # x / (x^2 + 2 s), without the square, which would overflow
    on_right = (ops.ones_like(x), right_x + 2.0 * ops.clip(s, 0.0, 1024.0) / right_x)
    on_centre = _rational(block, _clip(block, x))
    first = ops.where(left | right, ops.zeros_like(x), 0.75)
    return first + _divide(_select(left, on_left, _select(right, on_right, on_centre)))


def log_stdplus_second_derivative(x, s):
    """Return the second derivative of log stdplus from x and log stdplus(x)."""
    block = COEFFICIENTS[_dtype(x)]["LOG_SECOND_DERIVATIVE_CENTRE"]
    left, right = x < block.start, (x > block.end) & (x < _INFINITY)
    # (d^2 - 2 x^2 y^2) / d^3, with d = y^2 - 1
    left_x = ops.where(left & (x > _ZERO), x, -2.0)
    square = ops.exp(2.0 * ops.where(left, s, -1.0))
    d = square - 1.0
    on_left = (1.0 - 2.0 * square * (left_x / d) ** 2) / d
    # (4 s^2 - x^4 - 2 x^2) / d^3, with d = x^2 + 2 s, in powers of 1 / x
    right_s = ops.where(right, s, 1.0)
    inverse = 1.0 / ops.where(right, x, 2.0)
    square = inverse * inverse
    part = 1.0 / (1.0 + 2.0 * right_s * square)
    on_right = part**3 * (4.0 * (right_s * square) ** 2 - 1.0 - 2.0 * square) * square
    on_centre = _divide(_rational(block, _near_zero(block, x)))
    curvature = ops.where(left, on_left, ops.where(right, on_right, on_centre))
    return ops.where(x == _INFINITY, 0.0, curvature)


# --- stdplus_inverse


def stdplus_inverse(y):
    """Return x, from y."""
    far = _FAR[_dtype(y)]
    block = COEFFICIENTS[_dtype(y)]["INVERSE_CENTRE"]
    near_y = ops.clip(y, 0.0, far)
    square = (near_y - 1.0) * (near_y + 1.0) - 2.0 * ops.log(near_y)
    x = ops.sqrt(square)
    x = ops.where(y < block.start, -x, ops.where(y > far, y, x))
    q = _divide(_rational(block, _clip(block, y)))
    x = ops.where(_inside(block, y), (y - 1.0) * (1.25 + q), x)
    return ops.where(y < 0.0, float("nan"), x)


def stdplus_inverse_derivative(y, x):
    """Return `(y^2 - 1) / (x y)`, which is 0/0 at 1, from y and stdplus_inverse(y)."""
    far = _FAR[_dtype(y)]
    block = COEFFICIENTS[_dtype(y)]["INVERSE_CENTRE"]
    # In the center, x = (y - 1) (5/4 + numerator / denominator).
    numerator, denominator = _rational(block, _clip(block, y))
    on_centre = ((y + 1.0) * denominator, y * (1.25 * denominator + numerator))
    zero, beyond = y == 0.0, y > far
    other_y = ops.where(zero | beyond, 2.0, y)
    elsewhere = ((other_y - 1.0) * (other_y + 1.0), other_y * x)
    slope = _divide(_select(_inside(block, y), on_centre, elsewhere))
    return ops.where(zero, _INFINITY, ops.where(beyond, 1.0, slope))


def stdplus_inverse_second_derivative(y, x):
    """Return the second derivative of the inverse from y and stdplus_inverse(y)."""
    block = COEFFICIENTS[_dtype(y)]["INVERSE_SECOND_DERIVATIVE_CENTRE"]
    centre, zero, infinite = _inside(block, y), y == 0.0, y == _INFINITY
    # 2 (1 - s - (1 + s) / y^2) / x^3, in factors, since XLA combines several divisors into one
    moved = centre | zero | infinite
    other_y = ops.where(moved, 3.0, y)
    s = ops.log(other_y)
    of_x, of_y = 1.0 / ops.where(moved, 3.0, x), 1.0 / other_y
    of_one = 2.0 * (1.0 - s) * of_x * of_x * of_x
    of_square = 2.0 * (1.0 + s) * of_x * of_x * of_x * of_y * of_y
    on_centre = _divide(_rational(block, ops.where(centre, y, 1.0)))
    curvature = ops.where(centre, on_centre, of_one - of_square)
    return ops.where(zero, -_INFINITY, ops.where(infinite, 0.0, curvature))


# --- Pieces


def _dtype(x):
    return standardize_dtype(x.dtype)


def _rational(block, x):
    """Return the numerator and denominator at an x in the interval of the block."""
    u = x - block.start if block.start else x
    return _polynomial(block.numerator, u), _polynomial(block.denominator, u)


def _polynomial(coefficients, u):
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * u + coefficient
    return total


def _inside(block, x):
    return (x >= block.start) & (x <= block.end)


def _clip(block, x):
    return ops.clip(x, block.start, block.end)


def _near_zero(block, x):
    """Return x in the interval of the block, otherwise 0. Unlike clip, it has a derivative."""
    return ops.where((x < block.start) | (x > block.end), 0.0, x)


def _select(condition, one, other):
    """Select numerators and denominators, so that one division suffices."""
    return tuple(ops.where(condition, a, b) for a, b in zip(one, other))


def _divide(fraction):
    numerator, denominator = fraction
    return numerator / denominator
