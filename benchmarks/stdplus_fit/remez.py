"""Rational minimax approximation by Remez' exchange algorithm, in mpmath."""

from applications import extras

mpmath = extras.load("mpmath")

# The exchange has converged when no error exceeds the leveled one by more.
_TOLERANCE = mpmath.mpf("1e-3")


def fit_rational(x, f, weight, numerator_degree, denominator_degree):
    """Return the rational p(x) / q(x) with the smallest maximum weighted error.

    Args:
        x: List of mpmath numbers. An increasing grid that is dense enough to contain the
            extrema of the error almost exactly, and densest where f changes most.
        f: List of mpmath numbers. The function on the grid.
        weight: List of positive mpmath numbers. Errors on the grid are divided by these.
        numerator_degree: Integer. Degree of p.
        denominator_degree: Integer. Degree of q, whose constant term is 1.

    Returns:
        Coefficients of p and of q, lowest power first, and the maximum of
        `|p / q - f| / weight` on the grid.

    Raises:
        ArithmeticError: If the exchange did not converge, because the degrees are too high for
            the precision of mpmath, or because the spacing of the grid does not suit f.
    """
    size = numerator_degree + denominator_degree + 2
    reference = chebyshev_indices(len(x), size)
    for _ in range(60):
        p, q, level = _level_errors(
            *([values[i] for i in reference] for values in (x, f, weight)),
            numerator_degree,
            denominator_degree,
        )
        errors = weighted_errors(p, q, x, f, weight)
        worst = max(abs(error) for error in errors)
        if worst <= abs(level) * (1 + _TOLERANCE):
            return p, q, worst
        reference = _alternating_extrema(errors, size)
    raise ArithmeticError(f"Remez: errors of {float(abs(level))} to {float(worst)}")


def weighted_errors(p, q, x, f, weight):
    """Return `(p / q - f) / weight` on the grid."""
    return [(_polynomial(p, xi) / _polynomial(q, xi) - fi) / wi for xi, fi, wi in zip(x, f, weight)]


def _polynomial(coefficients, x):
    # Not `mpmath.polyval`, because the order of its coefficients is changing.
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def chebyshev_indices(length, count):
    """Return `count` indices into `length`, dense at both ends like Chebyshev points."""
    cosines = [mpmath.cospi(mpmath.mpf(i) / (count - 1)) for i in range(count)]
    return [int(mpmath.nint((1 - cosine) / 2 * (length - 1))) for cosine in cosines]


def _level_errors(x, f, weight, m, n):
    """Solve `p - f q = (-1)^i level weight q` at m + n + 2 points for p, q, level.

    Divided differences over all points, of the equation times x^k for k = 0 to n, eliminate p.
    An eigenvalue problem for q remains. At most one of its solutions has no pole between the
    points (Powell, Approximation Theory and Methods, chapter 10).
    """
    divided = [
        1 / mpmath.fprod(xi - xj for j, xj in enumerate(x) if j != i) for i, xi in enumerate(x)
    ]
    signed = [-wi if i % 2 else wi for i, wi in enumerate(weight)]
    of_f, of_weight = (
        [
            mpmath.fsum(d * xi**k * value for d, xi, value in zip(divided, x, values))
            for k in range(2 * n + 1)
        ]
        for values in (f, signed)
    )
    rows = range(n + 1)
    left = mpmath.matrix([[of_f[j + k] for k in rows] for j in rows])
    right = mpmath.matrix([[-of_weight[j + k] for k in rows] for j in rows])
    levels, vectors = mpmath.eig(right**-1 * left)
    for index, level in enumerate(levels):
        q = [mpmath.re(vectors[k, index] / vectors[0, index]) for k in rows]
        q_at = [_polynomial(q, xi) for xi in x]
        if min(q_at) > 0 and abs(mpmath.im(level)) < abs(level) * _TOLERANCE:
            level = mpmath.re(level)
            break
    else:
        raise ArithmeticError("Remez: every solution has a pole")
    p_at = [(fi + level * si) * qi for fi, si, qi in zip(f, signed, q_at)]
    powers = mpmath.matrix([[xi**k for k in range(m + 1)] for xi in x[: m + 1]])
    p = list(mpmath.lu_solve(powers, mpmath.matrix(p_at[: m + 1])))
    return p, q, level


def _alternating_extrema(errors, size):
    """Return the indices of `size` extrema of alternating sign, the largest among them."""
    extrema = []
    for i, error in enumerate(errors):
        if extrema and (error > 0) == (errors[extrema[-1]] > 0):
            if abs(error) > abs(errors[extrema[-1]]):
                extrema[-1] = i
        else:
            extrema.append(i)
    if len(extrema) < size:
        raise ArithmeticError(f"Remez: {len(extrema)} extrema, {size} are needed")
    while len(extrema) > size:
        sizes = [abs(errors[i]) for i in extrema]
        smallest = sizes.index(min(sizes))
        if len(extrema) == size + 1:
            del extrema[0 if sizes[0] < sizes[-1] else -1]
        elif smallest in (0, len(extrema) - 1):
            del extrema[smallest]
        else:  # with its smaller neighbor, so that signs still alternate
            first = smallest if sizes[smallest + 1] < sizes[smallest - 1] else smallest - 1
            del extrema[first : first + 2]
    return extrema
