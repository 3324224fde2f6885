"""Errors of stdplus, its inverse and their derivatives, in units of the last place.

Against `benchmarks/stdplus_accuracy/oracle.py`, which shares nothing with the library. An
error counts in ulp of the exact value, as `benchmarks/stdplus_accuracy/ulps.py` has it: there a
subnormal result that became 0 is right, as is an infinity beyond the largest number.
"""

import functools

import numpy as np
import pytest

from benchmarks.stdplus_accuracy import methods
from benchmarks.stdplus_accuracy import oracle
from benchmarks.stdplus_accuracy import regions
from benchmarks.stdplus_accuracy import ulps
from keras_slashed.ops import log_stdplus
from keras_slashed.ops import stdplus
from keras_slashed.ops import stdplus_inverse
from keras_slashed.ops.stdplus_coefficients import COEFFICIENTS
from tests.support import BACKEND
from tests.support import compiled
from tests.support import derivative
from tests.support import evaluate
from tests.support import kernel_compilation
from tests.support import needs_cpp_compiler

FUNCTIONS = {
    "y": stdplus,
    "log": log_stdplus,
    "inverse": stdplus_inverse,
    "gradient": derivative(stdplus),
    "log_gradient": derivative(log_stdplus),
    "inverse_gradient": derivative(stdplus_inverse),
    "second": derivative(stdplus, 2),
    "log_second": derivative(log_stdplus, 2),
    "inverse_second": derivative(stdplus_inverse, 2),
}
# Of kernels, in which a compiler joins products and sums. Second derivatives are
# well within: 12, 10 and 16 are the most that was seen.
FUSED = {
    "y": 2.0,
    "log": 2.5,
    "inverse": 2.0,
    "gradient": 3.0,
    "log_gradient": 3.0,
    "inverse_gradient": 4.5,
    "second": 40.0,
    "log_second": 15.0,
    "inverse_second": 20.0,
}
# Tolerances for single operations, each of which is rounded
PLAIN = FUSED | {"y": 3.0, "log": 3.5, "inverse": 3.0, "gradient": 4.0}
FLOAT64 = FUSED | {"y": 3.0, "log": 3.5}
# Each way to compute float32, with its bounds. PyTorch's single operations keep
# to those of kernels.
MODES = {
    "jax": {"eager": FUSED, "jit": FUSED},
    "tensorflow": {"plain": PLAIN, "eager": FUSED, "xla": FUSED},
    "torch": {"plain": FUSED},
    "numpy": {"plain": PLAIN},
}[BACKEND]


# --- Points, and what is exact there


def seams(inverse, dtype):
    """Return where the implementation passes from one formula to the next."""
    blocks = COEFFICIENTS[dtype].items()
    # The left blocks' variable is exp(-x^2 - 1): they end where others start.
    blocks = [
        block
        for name, block in blocks
        if not name.endswith("LEFT") and name.startswith("INVERSE") == inverse
    ]
    ends = [end for block in blocks for end in (block.start, block.end)]
    others = [1.0] if inverse else [-40.0, -13.17, -0.5, 0.0]
    return [*ends, *others, 2.0**17, 2.0**30]


def points(inverse, dtype, count, even):
    """Return `count` numbers of every region, `even` evenly spaced, and seams."""
    x = [regions.sample(inverse, dtype, count)]
    x.append(np.linspace(1e-3, 4.0, even) if inverse else np.linspace(-14.0, 8.0, even))
    for end in (-np.inf, np.inf):
        side = np.array(seams(inverse, dtype), dtype)
        for _ in range(5):
            x.append(side)
            side = np.nextafter(side, side.dtype.type(end))
    return np.unique(np.concatenate(x).astype(dtype).astype("float64"))


@functools.cache
def sample(inverse, dtype):
    """Return points in ascending order and the exact values of each quantity there."""
    if dtype == "float64":
        x = points(inverse, dtype, 60, 300)
        x = x[np.isfinite(x) & (x > 0.0 if inverse else True)]
        exact = oracle.exact_inverse if inverse else oracle.exact_forward
        rows = [exact(value) for value in x]
        return x, {name: np.array([row[name] for row in rows]) for name in rows[0]}
    if dtype == "float32":
        x = points(inverse, dtype, 16_000 if inverse else 9_000, 50_000)
    else:
        x = regions.sample(inverse, dtype, None)  # every one
    return x, oracle.inverse(x) if inverse else oracle.forward(x)


def is_judged(name, x, exact, dtype):
    """Return where a quantity is held to its bound."""
    tiny = float(np.finfo("float64" if dtype == "float64" else "float32").tiny)
    if name in ("log_second", "inverse_second") and dtype == "float64":
        return (np.abs(x) < 1e30) & (np.abs(x) > 1e-150)  # else 120 digits are too few
    if name.startswith("inverse"):
        return (x == 0.0) | (x >= tiny)  # XLA takes smaller ones for 0
    if name in ("gradient", "second"):
        # Where y is subnormal, with few digits or, on XLA, none. Times x that can be
        # a normal number, as -x y is down to -13.37.
        return (exact["y"] == 0.0) | (exact["y"] >= tiny)
    return np.ones(len(x), bool)


# --- How far the library is from it


def check(name, function, dtype, bound, size):
    x, exact = sample(name.startswith("inverse"), dtype)
    judged = is_judged(name, x, exact, dtype)
    x, exact = x[judged], exact[name][judged]
    rounded = exact.astype("float64")
    rest = (exact - rounded).astype("float64") if dtype == "float64" else 0.0
    computed = evaluate(function, x, dtype, size)
    tally = ulps.measure(x, computed, rounded, dtype, [-np.inf, np.inf], rest)[0]
    assert tally.values == len(x)
    assert tally.wrong == 0
    assert tally.max_ulp <= bound, f"{tally.max_ulp:.3f} ulp at {tally.at!r}"
    assert tally.max_ulp_subnormal <= bound


def check_wide(name, mode, dtype):
    function = compiled(FUNCTIONS[name]) if mode in ("jit", "xla") else FUNCTIONS[name]
    bounds, size = (FLOAT64, 2**11) if dtype == "float64" else (MODES[mode], 2**16)
    with kernel_compilation(mode != "plain"):
        check(name, function, dtype, bounds[name], size)


@pytest.mark.every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_wide_types(name, mode, dtype):
    check_wide(name, mode, dtype)


# Of all 2^32: a sample meets the worst of the log's and the inverse's gradient by chance alone.
EXHAUSTIVE = FUSED | {"log_gradient": 3.5, "inverse_gradient": 5.0}


@pytest.mark.nightly
@pytest.mark.parametrize("name", methods.NAMES)
def test_every_float32(name):
    """Ten minutes each."""
    mode = list(MODES)[-1]
    inverse = name in methods.INVERSE
    exact_of = oracle.inverse if inverse else oracle.forward
    function = compiled(FUNCTIONS[name]) if mode in ("jit", "xla") else FUNCTIONS[name]
    chunk, count = 2**22, 0
    for start in range(0, 2**31 if inverse else 2**32, chunk):
        x = regions.every_value("float32", start, start + chunk)
        x = x[~np.isnan(x)]
        if len(x) == 0:
            continue
        exact = exact_of(x)
        judged = is_judged(name, x, exact, "float32")
        x, values = x[judged], exact[name][judged]
        if len(x) == 0:
            continue
        with kernel_compilation(mode != "plain"):
            computed = evaluate(function, x, "float32", 2**16)
        tally = ulps.measure(x, computed, values, "float32", [-np.inf, np.inf])[0]
        assert tally.wrong == 0, (start, tally)
        assert max(tally.max_ulp, tally.max_ulp_subnormal) <= EXHAUSTIVE[name], (start, tally)
        count += len(x)
    assert count > 2**30


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
@needs_cpp_compiler
@pytest.mark.parametrize("name", ["y", "gradient"])
def test_kernels_of_torch(name):
    """Two of them, as each takes seconds to compile."""
    with kernel_compilation(True):
        check(name, FUNCTIONS[name], "float32", FUSED[name], 2**16)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_16_bit_value(name, dtype):
    """Rounding alone is half an ulp."""
    with kernel_compilation(False):
        check(name, FUNCTIONS[name], dtype, 0.55, 2**16)
