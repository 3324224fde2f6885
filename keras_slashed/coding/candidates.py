"""The candidates of a block: standard normal vectors that encoder and decoder share.

A word of 64 bits makes a pair of normals by the transform of Box and Muller,
`sqrt(-2 log u) (cos(2 pi v), sin(2 pi v))`, where u has 40 bits and v has 24. Other methods are
faster, but reject some words, so that the place of a normal in the stream would depend on those
before it. No normal is greater than 7.6.
"""

import math

import numpy as np

from keras_slashed.coding.random_words import WORDS
from keras_slashed.coding.random_words import WordStream

_TURN_BITS = np.uint64(24)
_TURN_MASK = np.uint64(2**24 - 1)


class Candidates:
    """The candidates of all blocks.

    Args:
        seed: Integer. The seed that encoder and decoder share.
        latent_dim: Integer. Number k of entries of a candidate.
    """

    def __init__(self, seed, latent_dim):
        self._stream = WordStream("candidates", seed)
        self.latent_dim = latent_dim
        # The words of a candidate lie at one place, or begin at a place and fill several.
        self._pairs = (latent_dim + 1) // 2
        self._places = -(-self._pairs // WORDS)
        self._words = WORDS * self._places if self._pairs > 2 else self._pairs

    def range(self, blocks, start, count):
        """Return consecutive candidates of some blocks.

        Args:
            blocks: Sequence of n integers. Indices of the blocks.
            start: Integer. Index of the first candidate, a multiple of 4.
            count: Integer. Number of candidates, a multiple of 4.

        Returns:
            float32 array of shape (n, k, count), computed in float32. It differs from what `at`
            returns by rounding.
        """
        first, last = (number * self._words // WORDS for number in (start, start + count))
        words = self._stream.range(blocks, first, last - first)
        words = words.reshape(len(blocks), count, self._words)[..., : self._pairs]
        words = np.ascontiguousarray(np.swapaxes(words, 1, 2))
        return np.concatenate(_normals(*_uniforms(words)), axis=1)[:, : self.latent_dim]

    def at(self, blocks, indices):
        """Return one candidate of each of many blocks.

        Args:
            blocks: Integer array of shape (n,). Indices of the blocks.
            indices: Integer array of shape (n,). Indices of candidates.

        Returns:
            float64 array of shape (n, k).
        """
        first = np.uint64(self._words) * indices.astype("uint64")
        places = first // np.uint64(WORDS)
        blocks = blocks.astype("uint64")
        words = [self._stream.at(blocks, places + np.uint64(i)) for i in range(self._places)]
        words = np.concatenate(words, axis=-1)
        if self._words < WORDS:  # several candidates share a place
            lanes = (first % np.uint64(WORDS)).astype("int64")[:, None] + np.arange(self._words)
            words = np.take_along_axis(words, lanes, axis=-1)
        u, v = _uniforms(words[:, : self._pairs])
        z = np.concatenate(_normals(np.float64(u), np.float64(v)), axis=-1)
        return z[:, : self.latent_dim]


def _normals(u, v):
    """Return the two normals of each u and v."""
    radius = np.sqrt(-2.0 * np.log(u))
    angle = (2.0 * math.pi) * v
    return radius * np.cos(angle), radius * np.sin(angle)


def _uniforms(words):
    """Return u in (0, 1], rounded from 40 bits, and v in [-1/2, 1/2), exact in 24 bits."""
    u = ((words >> _TURN_BITS).astype("float32") + np.float32(0.5)) * np.float32(2.0**-40)
    v = (words & _TURN_MASK).astype("float32") * np.float32(2.0**-24) - np.float32(0.5)
    return u, v
