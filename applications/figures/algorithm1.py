"""The paper's Algorithm 1 and Eq. 31 as printed: a reference, not what the library uses.

For Figure 3, benchmarks and tests. What it loses in float32, at most and about, as
`python -m benchmarks.stdplus_accuracy` finds it on a sample:

- 24 ulp of stdplus and 590 of the gradient just outside 0.04, 19 and 380 between
  0.05 and 0.2, where the Newton step cancels;
- all digits of the gradient near 0, which is NaN at 0 (0/0), as y^2 - 1 has no
  more of them, however exact y is;
- 95 ulp in the left tail and 30 in the right one, to the exponential of a rounded
  exponent.

It gives NaN beyond 1.85e19 in float32, where x^2 overflows, far to the left, at
infinities, and, with infinities, in native float16 and bfloat16.
"""

import math

from keras import ops


def iterations(eps):
    """Return Algorithm 1's number of iterations for a desired precision.

    Args:
        eps: The precision: 4 iterations for float32's 2^-23, 5 for float64's
            2^-52.
    """
    return math.ceil(math.log2(-math.log2(eps)) - 1)


def log_stdplus(x, iterations):
    """Return the logarithm of stdplus at a tensor, computed in its dtype."""
    root = math.sqrt(2)
    numerator = x / root + x**2 / 4 + x**3 / (90 * root)
    denominator = 1 + 5 * x / (6 * root) + 17 * x**2 / 180
    r = 2 * ops.log((x + ops.sqrt(x**2 + 4)) / 2)
    for _ in range(iterations):
        a = ops.where(r > 0, r, 0.0)
        r = ((r - 1) * ops.exp(r - a) + (x**2 + 1) * ops.exp(-a)) / (ops.exp(r - a) - ops.exp(-a))
    return ops.where(ops.abs(x) <= 0.04, numerator / denominator, r / 2)


def stdplus(x, iterations):
    """Return stdplus at a tensor, computed in its dtype."""
    return ops.exp(log_stdplus(x, iterations))


def stdplus_derivative(x, y):
    """Return the derivative of stdplus at x, where it is y (Eq. 31)."""
    return x * y / (y**2 - 1)
