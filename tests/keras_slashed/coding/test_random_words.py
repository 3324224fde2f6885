"""Random words: those of NumPy's Philox, at any place."""

import concurrent.futures

import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_slashed.coding.random_words import WordStream


def philox(stream, block, place, count):
    """Return words by NumPy's own generator, made for one place."""
    generator = np.random.Philox(key=stream._key, counter=[place, 0, block, 0])
    return generator.random_raw(4 * count).reshape(count, 4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_scattered_words_are_those_of_numpy(seed, block, place):
    stream = WordStream("candidates", seed)
    expected = philox(stream, block, place, 5)
    np.testing.assert_array_equal(stream.range([block], place, 5).reshape(5, 4), expected)
    places = np.arange(place, place + 5, dtype="uint64")
    words = stream.at(np.full(5, block, "uint64"), places)
    np.testing.assert_array_equal(words, expected)


def test_words_for_ever():
    """What was encoded must be decoded by every later version and on every machine."""
    words = WordStream("candidates", 7).at(np.uint64([3, 2**40]), np.uint64([0, 12345]))
    assert [[f"{word:016x}" for word in row] for row in words.tolist()] == WORDS


WORDS = [
    ["a84bc65aa6324fa5", "d1f66a4fba1a55e0", "94550a113c3eba4f", "5e533893b3db875f"],
    ["8bb15c176a212a59", "7d68f46339a5bda8", "2c4648a404b7a599", "01624dbeeedd28f0"],
]


def test_streams_differ():
    names = [("candidates", 0), ("candidates", 1), ("index", 0), ("index", 1)]
    words = [WordStream(*name).range([0, 1], 0, 100) for name in names]
    assert len(np.unique(words)) == 8 * 400


def test_threads_that_share_a_stream():
    """A generator that they shared would give them the words of one another."""
    stream = WordStream("candidates", 0)
    blocks = range(200)
    expected = [stream.range(blocks, place, 500) for place in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            found = threads.map(lambda place: stream.range(blocks, place, 500), range(4))
            np.testing.assert_array_equal(list(found), expected)
