"""The number of bits for a rate."""

import numpy as np
import pytest

from keras_slashed.coding import bits_for


@pytest.mark.parametrize(
    ("rate", "margin", "bits"),
    [(0.0, 0.0, 1), (8.0, 0.0, 12), (8.0, 2.5, 15), (np.log(4), 3, 5), (np.log(4) + 1e-6, 3, 6)],
)
def test_a_rate(rate, margin, bits):
    found = bits_for(rate, margin)
    assert found == bits
    assert type(found) is int


def test_rates():
    found = bits_for([[1.0, 2.0], [3.0, 14.0]])
    assert found.tolist() == [[bits_for(1.0), bits_for(2.0)], [bits_for(3.0), bits_for(14.0)]]


@pytest.mark.parametrize("rate", [-1.0, np.nan, [1.0, np.inf], "much", "8", True, None, 1j])
def test_an_impossible_rate(rate):
    with pytest.raises(ValueError, match="rate"):
        bits_for(rate)


@pytest.mark.parametrize("margin", [np.nan, None, "4"])
def test_an_impossible_margin(margin):
    with pytest.raises(ValueError, match="margin"):
        bits_for(8.0, margin)
