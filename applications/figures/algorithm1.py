"""The paper's Algorithm 1 and Eq. 31 as printed, a reference that the library does not use.

Figure 3, benchmarks and tests use it. These are its approximate largest errors in float32,
which `python -m benchmarks.stdplus_accuracy` measures on a sample:

- 24 ulp for stdplus and 590 ulp for the gradient just outside 0.04, and 19 and 380 ulp between
  0.05 and 0.2, where the Newton step cancels.
- All digits of the gradient near 0, because y^2 - 1 cancels, however exact y is. At 0 the
  gradient is NaN (0/0).
- 95 ulp in the left tail and 30 ulp in the right tail, from the exponential of a rounded
  exponent.

The result is NaN in float32 beyond 1.85e19, where x^2 overflows, far to the left, and at
infinities. In native float16 and bfloat16 there are NaNs and infinities.
"""

import math

from keras import ops


def iterations(eps):
    """Return Algorithm 1's number of iterations for a desired precision.

    Args:
        eps: Float. The precision. float32's 2^-23 requires 4 iterations, and float64's 2^-52
            requires 5.
    """
    return math.ceil(math.log2(-math.log2(eps)) - 1)


def log_stdplus(x, iterations):
    """Return the logarithm of stdplus of a tensor, computed in its dtype."""
    root = math.sqrt(2)
    numerator = x / root + x**2 / 4 + x**3 / (90 * root)
    denominator = 1 + 5 * x / (6 * root) + 17 * x**2 / 180
    r = 2 * ops.log((x + ops.sqrt(x**2 + 4)) / 2)
    for _ in range(iterations):
        a = ops.where(r > 0, r, 0.0)
        r = ((r - 1) * ops.exp(r - a) + (x**2 + 1) * ops.exp(-a)) / (ops.exp(r - a) - ops.exp(-a))
    return ops.where(ops.abs(x) <= 0.04, numerator / denominator, r / 2)


def stdplus(x, iterations):
    """Return stdplus of a tensor, computed in its dtype."""
    return ops.exp(log_stdplus(x, iterations))


def stdplus_derivative(x, y):
    """Return the derivative of stdplus at x, given y = stdplus(x) (Eq. 31)."""
    return x * y / (y**2 - 1)
