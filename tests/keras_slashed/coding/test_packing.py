"""Indices as bytes, against Python's integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_slashed.coding import BlockCode


@st.composite
def indices(draw):
    bits = draw(st.integers(1, 32))
    return bits, draw(st.lists(st.integers(0, 2**bits - 1), max_size=20))


@settings(max_examples=200, deadline=None)
@given(indices(), st.data())
def test_round_trip_and_damage(case, data):
    bits, values = case
    code = BlockCode(bits)
    packed = code.to_bytes(np.array(values, "uint32"))
    text = "".join(f"{value:0{bits}b}" for value in values)
    size = -(-len(text) // 8)
    assert packed == int(text.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big")
    found = code.from_bytes(packed, len(values))
    assert found.dtype == "uint32"
    assert found.tolist() == values
    for other in (packed + b"\0", packed[:-1]):
        if other != packed:
            with pytest.raises(ValueError, match="Received"):
                code.from_bytes(other, len(values))
    if packed:
        # A flipped bit is another index, or an error: no two texts mean the same.
        place = data.draw(st.integers(0, 8 * size - 1))
        damaged = bytearray(packed)
        damaged[place // 8] ^= 0x80 >> place % 8
        if place < len(text):
            assert code.from_bytes(bytes(damaged), len(values)).tolist() != values
        else:
            with pytest.raises(ValueError, match="fill"):
                code.from_bytes(bytes(damaged), len(values))


@pytest.mark.parametrize("bits", [13, 14, 32])
def test_a_million_blocks(bits):
    values = np.random.default_rng(0).integers(0, 2**bits, (1000, 1001), dtype="uint32")
    code = BlockCode(bits)
    packed = code.to_bytes(values)
    assert len(packed) == -(-1001000 * bits // 8)
    np.testing.assert_array_equal(code.from_bytes(packed, values.shape), values)


@pytest.mark.parametrize("values", [[-1], [1024], [0.5], np.zeros(2)])
def test_what_is_no_index(values):
    with pytest.raises(ValueError, match=r"[iI]ndices"):
        BlockCode(10).to_bytes(np.asarray(values))


@pytest.mark.parametrize("shape", [-1, (2, -3), (2.5,), "ab", None])
def test_what_is_no_shape(shape):
    with pytest.raises(ValueError, match="shape"):
        BlockCode(10).from_bytes(b"", shape)
