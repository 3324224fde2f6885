"""Errors in units of the last place, tallied by region.

An error counts in ulp of the exact value: in steps of the dtype's numbers at the
exact value's exponent. Results that are subnormal numbers are tallied apart, as
compilers and processors flush them to 0, which counts as right.
"""

import dataclasses
import itertools
import math

import ml_dtypes
import numpy as np

_EXPONENT = np.uint64(0x7FF0_0000_0000_0000)  # the bits of a float64


@dataclasses.dataclass
class Tally:
    """What a region's values gave."""

    values: int = 0
    max_ulp: float = 0.0  # over results that are normal numbers
    at: float = math.nan  # where that was
    wrong: int = 0  # NaN or infinite where the exact value is not, or the reverse
    subnormal: int = 0  # how many results are subnormal numbers, or 0
    max_ulp_subnormal: float = 0.0

    def add(self, other):
        """Take in what another part of the region gave."""
        self.values += other.values
        if other.max_ulp > self.max_ulp or math.isnan(self.at):
            self.max_ulp, self.at = other.max_ulp, other.at
        self.wrong += other.wrong
        self.subnormal += other.subnormal
        self.max_ulp_subnormal = max(self.max_ulp_subnormal, other.max_ulp_subnormal)


def measure(x, computed, exact, dtype, edges, rest=0.0):
    """Return a `Tally` for each interval between two edges, and one for x = NaN.

    Args:
        x: The arguments in ascending order, NaN last.
        computed: The results to judge.
        exact: The exact ones as float64 (`exact + rest` if that is too short).
        dtype: Name of the dtype that was computed in.
        edges: In ascending order; an interval holds its left edge, the last one
            infinity too.
        rest: What `exact` lacks.
    """
    info = ml_dtypes.finfo(dtype)
    tiny, largest = float(info.tiny), float(info.max)
    computed = np.asarray(computed, "float64")
    with np.errstate(all="ignore"):
        size = np.abs(exact)
        fits = size * (1.0 - 2.0 ** -(info.nmant + 2)) <= largest  # once rounded
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
