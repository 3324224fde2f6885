"""Random words that every machine computes alike, at any place of a stream (NumPy's Philox).

Philox4x64-10 is a function of a key (two words of 64 bits) and a counter (four words). It returns
four words. A stream has a key of its own, and each of its blocks has its own counters, `(place,
0, block, 0)` with places from 1 on. A word can therefore be computed without those before it.
`WordStream.range` uses NumPy's generator, which is the fastest way to many words in a row.
`WordStream.at` computes the same function for many scattered places at once.
"""

import numpy as np

WORDS = 4  # of 64 bits, at each place
_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_KEY_STEPS = np.array([0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B], "uint64")
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


class WordStream:
    """A stream of random words for each of many blocks.

    Args:
        name: String. Name of the stream, so that streams with the same seed are independent.
        seed: Integer, 0 or more. Seed of the stream.
    """

    def __init__(self, name, seed):
        entropy = [*f"keras_slashed.coding.{name}".encode(), int(seed)]
        self._key = np.random.SeedSequence(entropy).generate_state(2, "uint64")

    def range(self, blocks, start, count):
        """Return the words of places `start` to `start + count - 1` of some blocks.

        Args:
            blocks: Sequence of n integers. Indices of the blocks.
            start: Integer. The first place.
            count: Integer. Number of places.

        Returns:
            uint64 array of shape (n, 4 count).
        """
        words = np.empty((len(blocks), WORDS * count), "uint64")
        # Each call has a generator of its own, since threads may share the stream. To set its
        # state for each block takes less time than to create a generator for each block.
        generator = np.random.Philox(key=self._key, counter=[0, 0, 0, 0])
        state = generator.state
        for row, block in zip(words, blocks):
            # NumPy adds 1 to the counter before it computes words.
            state["state"]["counter"] = np.array([start, 0, block, 0], "uint64")
            generator.state = state
            row[:] = generator.random_raw(len(row))
        return words

    def at(self, blocks, places):
        """Return the words of one place in each of many blocks.

        Args:
            blocks: uint64 array. Indices of the blocks.
            places: uint64 array of the same shape.

        Returns:
            uint64 array with a last axis of 4 words.
        """
        zeros = np.zeros_like(places)
        counter = places + np.uint64(1), zeros, blocks, zeros
        key = self._key
        for _ in range(_ROUNDS):
            high0, low0 = _product(_MULTIPLIERS[0], counter[0])
            high1, low1 = _product(_MULTIPLIERS[1], counter[2])
            counter = high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0
            key = key + _KEY_STEPS  # modulo 2^64
        return np.stack(counter, axis=-1)


def _product(multiplier, x):
    """Return the upper and the lower 64 bits of a product of 64-bit numbers."""
    multiplier_high, multiplier_low = multiplier >> _HALF, multiplier & _LOW
    high, low = x >> _HALF, x & _LOW
    middle = multiplier_high * low + (multiplier_low * low >> _HALF)
    other = multiplier_low * high + (middle & _LOW)
    return multiplier_high * high + (middle >> _HALF) + (other >> _HALF), multiplier * x
