"""The choice of a candidate by its importance weight (minimal random coding)."""

import gc

import numpy as np
from keras import ops

from keras_slashed.coding.random_words import WORDS
from keras_slashed.coding.random_words import WordStream
from keras_slashed.evaluation.compiled import Compiled

# Inverse standard deviations are at most e^40, so that squared distances stay finite.
_LARGEST_LOG = 40.0
_FEWEST = 2 * WORDS  # candidates, whose noise is from the words of one place
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


class Selection:
    """Choose a candidate of each block with probability proportional to its importance weight.

    The index is `argmax_i (log w_i + G_i)` with independent Gumbel noise `G_i`, which has exactly
    the distribution `w_i / sum(w)`. Here `log w = log q(z) - log p(z)` up to a constant. A
    maximum over chunks is the maximum of all, so that the index does not depend on their size.

    Args:
        candidates: `Candidates` of all blocks.
        count: Integer. Number of candidates of a block, a power of 2.
        chunk_size: Integer. Largest number of normals that are in memory at once,
            but at least eight candidates.
    """

    def __init__(self, candidates, count, chunk_size):
        self._candidates = candidates
        self._count = count
        largest = 1 << max(chunk_size // candidates.latent_dim, 1).bit_length() - 1
        self._chunk = max(_FEWEST, min(largest, count))
        self._blocks = max(1, chunk_size // (self._chunk * candidates.latent_dim))
        self._best = Compiled(self._best_of_chunk)

    def indices(self, mean, log_stddev, first_block, seed):
        """Return the index of a candidate for each block.

        Args:
            mean: float32 array (n, k). Posterior means relative to a standard normal prior.
            log_stddev: float32 array (n, k). Logarithms of the posterior standard deviations.
            first_block: Integer. Index of the first block.
            seed: Integer. Seed of the Gumbel noise.

        Returns:
            uint32 array (n,).
        """
        noise = WordStream("index", seed)
        inverse_stddev = np.exp(np.minimum(-log_stddev, _LARGEST_LOG))
        number = len(mean)
        # Shapes are constant, since each new one is compiled.
        size = max(1, min(self._blocks, number))
        padding = [(0, -number % size), (0, 0)]
        mean, inverse_stddev = np.pad(mean, padding), np.pad(inverse_stddev, padding)
        found = np.zeros(len(mean), "uint32")
        z = np.zeros((size, mean.shape[-1], self._chunk), "float32")
        gumbel = np.zeros((size, self._chunk), "float32")
        for start in range(0, number, size):
            tile = slice(start, start + size)
            blocks = range(first_block + start, first_block + min(start + size, number))
            best = np.full(size, -np.inf)
            for first in range(0, self._count, self._chunk):
                z[: len(blocks)] = self._candidates.range(blocks, first, self._chunk)
                gumbel[: len(blocks)] = self._gumbel(noise, blocks, first)
                index, score = self._best.predict_on_batch(
                    {
                        "z": z,
                        "gumbel": gumbel,
                        "mean": mean[tile],
                        "inverse_stddev": inverse_stddev[tile],
                    }
                )
                better = score > best
                found[tile][better] = first + index[better].astype("int64")  # int32 is too short
                best = np.where(better, score, best)
                # On PyTorch, Keras leaves the inputs in a circle of references.
                gc.collect(0)
        return found[:number]

    def _gumbel(self, noise, blocks, first):
        """Return Gumbel noise for a chunk of candidates of some blocks."""
        words = noise.range(blocks, first // _FEWEST, self._chunk // _FEWEST)
        # Two numbers of 32 bits from each word.
        halves = np.stack([words >> _HALF, words & _LOW], axis=-1).reshape(len(words), -1)
        uniform = (halves.astype("float32") + np.float32(0.5)) * np.float32(2.0**-32)
        with np.errstate(divide="ignore"):  # 1 - uniform may round to 0
            gumbel = -np.log(-np.log1p(-uniform))
        gumbel[:, self._count :] = -np.inf  # candidates that are never chosen
        return gumbel

    @staticmethod
    def _best_of_chunk(inputs):
        """Return index in the chunk and score of the best candidate, of each block."""
        z, mean, inverse_stddev = (inputs[name] for name in ("z", "mean", "inverse_stddev"))
        # This form cancels nothing, unlike a product of [z^2, z] with natural parameters.
        distance = (z - mean[..., None]) * inverse_stddev[..., None]
        log_weight = 0.5 * ops.sum(ops.square(z) - ops.square(distance), axis=1)
        score = log_weight + inputs["gumbel"]
        return ops.argmax(score, axis=-1), ops.max(score, axis=-1)
