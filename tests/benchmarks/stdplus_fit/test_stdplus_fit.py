"""The committed coefficients are those that `benchmarks/stdplus_fit/__main__.py` finds."""

import pytest

from benchmarks.stdplus_fit import __main__ as stdplus_fit
from keras_slashed.ops.stdplus_coefficients import COEFFICIENTS

# Those that take less than a second
NAMES = ("LEFT", "LOG_CENTRE", "INVERSE_CENTRE")


@pytest.mark.parametrize("name", NAMES)
def test_a_block_fitted_again(name):
    (block,) = (b for b in stdplus_fit.BLOCKS if b.name == name and "float32" in b.degrees)
    numerator, denominator, error = stdplus_fit.fit(block, "float32")
    committed = COEFFICIENTS["float32"][name]
    assert tuple(numerator) == committed.numerator
    assert tuple(denominator) == committed.denominator
    assert (float(block.start), float(block.end)) == (committed.start, committed.end)
    assert error < 2.0**-24  # half an ulp


def test_every_block_is_fitted():
    for dtype, blocks in COEFFICIENTS.items():
        fitted = [block for block in stdplus_fit.BLOCKS if dtype in block.degrees]
        assert list(blocks) == [block.name for block in fitted]
        for block, committed in zip(fitted, blocks.values()):
            sizes = len(committed.numerator) - 1, len(committed.denominator) - 1
            assert sizes == block.degrees[dtype]
