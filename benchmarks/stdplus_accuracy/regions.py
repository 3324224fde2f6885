"""Where stdplus is measured: the regions of a table, and points within them."""

import itertools
import math

import ml_dtypes
import numpy as np

from benchmarks.stdplus_accuracy import oracle

NOT_A_NUMBER = "NaN"
_SMALLEST = 1e-30  # |x| of a sample: nothing changes between it and 0


def regions(inverse, dtype):
    """Return edges in ascending order and a name for each interval between them.

    A name may occur twice, because the regions of small |x| have two parts.
    """
    tiny = float(ml_dtypes.finfo(dtype).tiny)
    if inverse:
        edges = [0.0, tiny, 0.1, 0.5, 0.9, 1.1, 2.0, 10.0, 1e4, 1e10, math.inf]
        names = ["y below tiny", "y tiny to 0.1"]
        names += [f"y {low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges[2:-1])]
        return edges, [*names, "y above 1e+10"]
    # Further left, y is a subnormal number or 0.
    left = float(oracle.inverse(np.array([tiny]))["inverse"][0])
    around_0 = [1e-6, 0.04, 0.05, 0.2, 1.0]
    right = [10.0, 1e4, 1e10, math.inf]
    outer = [-4.0] if left < -4.0 else []
    # An interval contains its left edge, but these must contain the larger |x| on both sides.
    inner = [*(-x for x in reversed(around_0)), *np.nextafter(around_0, 2.0).tolist()]
    edges = [-math.inf, left, *outer, *inner, *right]
    sizes = [f"abs x {low:g} to {high:g}" for low, high in itertools.pairwise(around_0)]
    names = [f"x below {left:.4g}, y < tiny"]
    names += [f"x {low:.4g} to {high:g}" for low, high in itertools.pairwise([left, *outer, -1.0])]
    names += [*reversed(sizes), "abs x below 1e-06", *sizes]
    names += ["x 1 to 10", "x 10 to 1e+04", "x 1e+04 to 1e+10", "x above 1e+10"]
    return edges, names


def every_value(dtype, start=0, stop=None):
    """Return the numbers with these bit patterns in ascending order, NaN last.

    Args:
        dtype: String. A dtype of 16 or 32 bits.
        start: Integer. The first pattern.
        stop: Integer. The pattern after the last one. All patterns have one sign.

    Returns:
        Float64 array.
    """
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    bits = 8 * kind.itemsize
    patterns = np.arange(start, 2**bits if stop is None else stop, dtype=f"uint{bits}")
    with np.errstate(invalid="ignore"):
        values = patterns.view(kind).astype("float64")
    if start >= 2 ** (bits - 1):
        values = values[::-1]  # the larger pattern is the smaller negative number
    nan = np.isnan(values)
    return np.concatenate([values[~nan], values[nan]]) if nan.any() else values


def sample(inverse, dtype, count, seed=0):
    """Return random numbers of every region, its edges and their neighbors.

    All numbers of the dtype in an interval have the same probability. For 16-bit dtypes, the
    sample contains all numbers.

    Returns:
        Float64 array in ascending order, without NaN.
    """
    if dtype in ("float16", "bfloat16"):
        half = 2**15
        signs = [every_value(dtype, 0, half), every_value(dtype, half, 2 * half)]
        x = np.concatenate(signs[: 1 if inverse else 2])
        return np.unique(x[~np.isnan(x)])
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    edges, _ = regions(inverse, dtype)
    x = [0.0, float(info.smallest_subnormal), float(info.tiny), float(info.max), math.inf]
    x = [np.array(x if inverse else [*x, *(-value for value in x)], dtype)]
    kept = np.array(edges, dtype)
    x += [kept, np.nextafter(kept, np.array(0, dtype)), np.nextafter(kept, np.array(9, dtype))]
    integer = f"int{info.bits}"
    smallest = float(info.smallest_subnormal) if inverse else _SMALLEST
    for low, high in itertools.pairwise(edges):
        for sign in (-1.0, 1.0):
            ends = np.clip(np.sort([sign * low, sign * high]), smallest, float(info.max))
            first, last = np.array(ends, dtype).view(integer)
            if first < last:
                numbers = rng.integers(first, last, count, dtype=integer).view(dtype)
                x.append(np.array(sign, dtype) * numbers)
    x = np.unique(np.concatenate(x).astype("float64"))
    return x[x >= 0.0] if inverse else x
