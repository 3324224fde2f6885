"""Errors in units of the last place, tallied by region.

Errors are in ulp of the exact value, the distance between numbers of the dtype at the exact
value's exponent. Subnormal results are tallied separately, since compilers and processors flush
them to 0, which counts as correct.
"""

import dataclasses
import itertools
import math

import ml_dtypes
import numpy as np

_EXPONENT = np.uint64(0x7FF0_0000_0000_0000)  # the bits of a float64


@dataclasses.dataclass
class Tally:
    """The errors of a region's values."""

    values: int = 0
    max_ulp: float = 0.0  # among results that are normal numbers
    at: float = math.nan  # where that error occurs
    wrong: int = 0  # NaN or infinite where the exact value is not, or the reverse
    subnormal: int = 0  # number of results that are subnormal or 0
    max_ulp_subnormal: float = 0.0

    def add(self, other):
        """Add the errors of another part of the region."""
        self.values += other.values
        if other.max_ulp > self.max_ulp or math.isnan(self.at):
            self.max_ulp, self.at = other.max_ulp, other.at
        self.wrong += other.wrong
        self.subnormal += other.subnormal
        self.max_ulp_subnormal = max(self.max_ulp_subnormal, other.max_ulp_subnormal)


def measure(x, computed, exact, dtype, edges, rest=0.0):
    """Return a `Tally` for each interval between two edges, and one for x = NaN.

    Args:
        x: Array. The arguments in ascending order, with NaN last.
        computed: Array. The results to measure.
        exact: Float64 array. The exact results, or their leading part if `rest` is given.
        dtype: String. Name of the dtype of the computation.
        edges: Array in ascending order. An interval contains its left edge, and the last one
            also contains infinity.
        rest: Float64 array or 0.0. The difference of the exact results and `exact`.
    """
    info = ml_dtypes.finfo(dtype)
    tiny, largest = float(info.tiny), float(info.max)
    computed = np.asarray(computed, "float64")
    with np.errstate(all="ignore"):
        size = np.abs(exact)
        fits = size * (1.0 - 2.0 ** -(info.nmant + 2)) <= largest  # after rounding
        finite = np.isfinite(computed)
        both_nan = np.isnan(computed) & np.isnan(exact)
        right = np.where(fits, finite, (computed == np.copysign(np.inf, exact)) | both_nan)
        unit = np.maximum((exact.view("uint64") & _EXPONENT).view("float64"), tiny)
        error = np.abs((computed - exact) - rest) / unit * 2.0**info.nmant
    subnormal = size < tiny
    below = np.where(subnormal & finite & (computed != 0.0), error, 0.0)
    error = np.where(fits & finite & ~subnormal, error, 0.0)
    ends = np.searchsorted(x, edges)
    ends[-1] = np.searchsorted(x, edges[-1], "right")
    tallies = []
    for start, end in [*itertools.pairwise(ends), (ends[-1], len(x))]:
        tally = Tally(values=int(end - start))
        if tally.values:
            piece = slice(start, end)
            worst = start + int(error[piece].argmax())
            tally.max_ulp, tally.at = float(error[worst]), float(x[worst])
            tally.wrong = tally.values - int(np.count_nonzero(right[piece]))
            tally.subnormal = int(np.count_nonzero(subnormal[piece]))
            tally.max_ulp_subnormal = float(below[piece].max())
        tallies.append(tally)
    return tallies
