"""BlockCode: a fixed number of bits for each posterior."""

import math
import numbers
import warnings

import keras
import numpy as np
from keras import ops

from keras_slashed.coding.candidates import Candidates
from keras_slashed.coding.packing import packed
from keras_slashed.coding.packing import packed_size
from keras_slashed.coding.packing import unpacked
from keras_slashed.coding.selection import Selection
from keras_slashed.ops.amplitude import rate_of
from keras_slashed.ops.amplitude import relative_log_stddev
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.reparameterize import on_prior
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer
from keras_slashed.validation import check_posterior_shapes
from keras_slashed.validation import check_seed

MOST_BITS = 32
_PIECE = 2**17  # blocks that are decoded at once


class BlockCode:
    """Store a draw from each posterior in a fixed number of bits.

    A block is the amplitude `(2k,)` of one posterior. Sender and receiver share `2^bits`
    candidates for each block, normal draws p(z) that depend only on `seed` and on the index of
    the block. The sender chooses a candidate with probability proportional to
    `posterior(z) / p(z)`, and the index of the candidate is the code. The receiver computes the
    candidate again. With enough bits, the candidate is a draw from the posterior:
    `keras_slashed.coding.bits_for` says how many a rate needs.

    The candidates are 1.2 times as wide as the prior by default. With the prior itself
    (`candidate_stddev=1.0`), a posterior that differs from it mainly in the mean needs many more
    bits, because few candidates lie beyond that mean.

    The posterior should not be wider than the candidates in any dimension. If it is, the ratio
    of the densities is unbounded, and draws are too narrow unless `bits` is very large. Apply
    `keras_slashed.ops.narrow_amplitude` in the model to exclude it.

    Args:
        bits: Integer from 1 to 32. Number of bits of a block. Encoding a block takes `2^bits`
            candidates, decoding takes one.
        seed: Integer from 0 to 2^31 - 1. Seed of the candidates, which the receiver must know.
        candidate_stddev: Float, more than 0. Standard deviation of the candidates divided by that
            of the prior. The receiver must know it.
        chunk_size: Integer. Largest number of normals that encoding has in memory at once. It
            does not change the codes.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> amplitude = keras_slashed.ops.normalize_rate(
    ...     keras.random.normal((100, 3, 8), seed=0), rate=4.0, normalization="instance"
    ... )  # three blocks of 4 dimensions and 4 nats for each of 100 instances
    >>> amplitude = keras_slashed.ops.narrow_amplitude(amplitude)
    >>> code = keras_slashed.coding.BlockCode(bits=10)
    >>> data = code.to_bytes(code.encode(amplitude, seed=0))
    >>> len(data)  # 10 bits for each block
    375
    >>> z = code.decode(code.from_bytes(data, (100, 3)), latent_dim=4)
    >>> tuple(z.shape)
    (100, 3, 4)

    Reference:
        Havasi, Peharz and Hernandez-Lobato, Minimal Random Code Learning, 2019, Algorithm 1.
        Theis and Yosri, Algorithms for the Communication of Samples, 2022, which calls it minimal
        random coding and bounds its error.
    """

    def __init__(self, bits, seed=0, candidate_stddev=1.2, chunk_size=2**18):
        check_positive_integer("bits", bits)
        if bits > MOST_BITS:
            raise ValueError(
                f"Argument `bits` must be at most {MOST_BITS}. Received: bits={bits!r}. Use more "
                "blocks of fewer nats"
            )
        check_seed(seed)
        if seed is None:
            raise ValueError("Argument `seed` must be an integer. Received: seed=None")
        check_number("candidate_stddev", candidate_stddev, above=0)
        check_positive_integer("chunk_size", chunk_size)
        self.bits = int(bits)
        self.seed = int(seed)
        self.candidate_stddev = float(candidate_stddev)
        self.chunk_size = int(chunk_size)
        self._selections = {}

    def encode(self, amplitude, seed=None, first_block=0):
        """Draw an index for each amplitude.

        Args:
            amplitude: Float tensor of shape `(..., 2k)`, a block for each vector.
            seed: Integer from 0 to 2^31 - 1, or None. Seed of the draws. With None, Keras draws
                the seed.
            first_block: Integer, 0 or more. Index of the first block. The blocks are numbered in
                the order of the leading axes. To encode batch by batch, pass the number of
                blocks before the batch.

        Returns:
            uint32 NumPy array of shape `(...)`, less than `2^bits`.

        Raises:
            ValueError: If an argument is out of range, the last axis of the amplitude has an odd
                length, or an entry is not finite.
        """
        seed = stream_seed("coding.index", seed)
        _check_first_block(first_block)
        amplitude = to_amplitude(amplitude)
        _check_finite(ops.convert_to_numpy(at_least_float32(amplitude)))
        psi = widen_amplitude(amplitude)
        mean, _ = relative_normal(psi)
        leading, latent_dim = tuple(mean.shape[:-1]), mean.shape[-1]
        mean, log_stddev = (
            np.float32(ops.convert_to_numpy(x)).reshape(-1, latent_dim)
            for x in (mean, relative_log_stddev(psi))
        )
        self._warn_of_rate(ops.convert_to_numpy(rate_of(psi)))
        if latent_dim not in self._selections:
            candidates = Candidates(self.seed, latent_dim)
            self._selections[latent_dim] = Selection(candidates, 2**self.bits, self.chunk_size)
        # Relative to the candidates, which the selection takes to be standard normal.
        mean = mean / np.float32(self.candidate_stddev)
        log_stddev = log_stddev - np.float32(math.log(self.candidate_stddev))
        selection = self._selections[latent_dim]
        return selection.indices(mean, log_stddev, first_block, seed).reshape(leading)

    def decode(
        self,
        indices,
        latent_dim,
        prior_mean=None,
        prior_stddev=None,
        prior_scale=None,
        first_block=0,
    ):
        """Return the candidates of indices.

        Args:
            indices: Integer array of shape `(...)` from `encode` or `from_bytes`.
            latent_dim: Integer. Number k of latent dimensions of a block.
            prior_mean: Float tensor or None. Prior mean, broadcastable to `(..., k)`, or to
                `(..., D)` with a prior scale. Defaults to 0.
            prior_stddev: Float tensor or None. Prior standard deviation, broadcastable to
                `(..., k)`. Defaults to 1.
            prior_scale: Float tensor or None. Matrix `S0` of the prior's covariance `S0 S0^T`, of
                shape `(D, k)` or `(..., D, k)`, used instead of `prior_stddev`.
            first_block: Integer, 0 or more. Index of the first block, as in `encode`.

        Returns:
            Tensor of shape `(..., k)`, or `(..., D)` with a prior scale, in the default float
            dtype.

        Raises:
            ValueError: If an index does not fit the code, or the shape of a prior does not fit.
        """
        indices = self._checked(indices)
        check_positive_integer("latent_dim", latent_dim)
        _check_first_block(first_block)
        priors = [
            None if x is None else to_float_tensor(x)
            for x in (prior_mean, prior_stddev, prior_scale)
        ]
        shapes = (None if x is None else tuple(x.shape) for x in priors)
        check_posterior_shapes((*indices.shape, 2 * latent_dim), *shapes)
        flat = indices.reshape(-1)
        candidates = Candidates(self.seed, latent_dim)
        z = np.empty((len(flat), latent_dim), "float32")
        for start in range(0, len(flat), _PIECE):
            some = flat[start : start + _PIECE]
            blocks = np.arange(len(some), dtype="uint64") + np.uint64(first_block + start)
            z[start : start + _PIECE] = self.candidate_stddev * candidates.at(blocks, some)
        z = ops.convert_to_tensor(z.reshape(*indices.shape, latent_dim))
        return ops.cast(on_prior(z, *priors), keras.config.floatx())

    def to_bytes(self, indices):
        """Pack indices into bytes without gaps.

        Args:
            indices: Integer array of n indices, of any shape.

        Returns:
            Bytes, `ceil(n bits / 8)` of them. The last byte is filled with zeros.

        Raises:
            ValueError: If an index does not fit the code.
        """
        return packed(self._checked(indices), self.bits)

    def from_bytes(self, data, shape):
        """Unpack the indices that `to_bytes` packed.

        Args:
            data: Bytes.
            shape: Integer or tuple of integers. Shape of the indices.

        Returns:
            uint32 NumPy array.

        Raises:
            ValueError: If `data` are not bytes, there are too few or too many of them, or the bits
                that fill the last byte are not 0.
        """
        axes = (shape,) if isinstance(shape, numbers.Integral) else shape
        if not isinstance(axes, (tuple, list)) or not all(map(_is_count, axes)):
            raise ValueError(
                "Argument `shape` must be an integer or a tuple of integers, 0 or more. "
                f"Received: shape={shape!r}"
            )
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise ValueError(f"Argument `data` must be bytes. Received: data of {type(data)}")
        shape = tuple(map(int, axes))
        count = math.prod(shape)
        size = packed_size(count, self.bits)
        if len(data) != size:
            raise ValueError(
                f"{count} indices of {self.bits} bits are {size} bytes. "
                f"Received: {len(data)} bytes and shape={shape}"
            )
        return unpacked(data, count, self.bits).reshape(shape)

    def _warn_of_rate(self, rates):
        """Warn if there are fewer candidates than even the mean of a posterior needs."""
        highest = np.max(rates, initial=0.0)
        if highest > 1.001 * self.bits * math.log(2.0):
            warnings.warn(
                f"A block has a rate of {highest:.2f} nats, which is {highest / math.log(2.0):.1f} "
                f"bits, more than bits={self.bits}. Decoded draws will be far from its posterior. "
                "See `keras_slashed.coding.bits_for`.",
                stacklevel=3,
            )

    def _checked(self, indices):
        """Return indices as a uint32 array."""
        given = np.asarray(ops.convert_to_numpy(indices))
        if given.dtype.kind not in "iu" and given.size:
            raise ValueError(f"Argument `indices` must be integers. Received: {given.dtype}")
        if given.size and not (given.min() >= 0 and given.max() < 2**self.bits):
            raise ValueError(
                f"Indices of {self.bits} bits must be from 0 to {2**self.bits - 1}. "
                f"Received: indices from {given.min()} to {given.max()}"
            )
        return given.astype("uint32")


def _check_finite(amplitude):
    finite = np.isfinite(amplitude)
    if not finite.all():
        raise ValueError(
            f"Argument `amplitude` must be finite. Received: {amplitude[~finite][0]} "
            f"(one of {np.sum(~finite)} entries that are not finite)"
        )


def _check_first_block(value):
    if not _is_count(value) or value >= 2**63:
        raise ValueError(
            f"Argument `first_block` must be an integer, 0 or more. Received: first_block={value!r}"
        )


def _is_count(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 0
