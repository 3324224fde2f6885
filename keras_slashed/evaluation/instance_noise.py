"""Noise of a batch that does not depend on the batch size."""

import keras
import numpy as np


class InstanceNoise:
    """Standard normal noise for a batch, with a separate generator for each instance.

    The noise depends only on the seed and on the index of the instance in the data. It comes from
    NumPy, and is therefore the same on every backend and for any batch size.

    Args:
        seed: Integer. Seed of the noise.
        instances: Iterable of integers. Index in the data of each real row of the batch.
        shape: Tuple of integers. Shape (n, ...) of the noise of one draw, where n may be greater
            than the number of instances.
    """

    def __init__(self, seed, instances, shape):
        self._generators = [np.random.default_rng([seed, instance]) for instance in instances]
        self._shape = shape

    def draw(self, count, chunk_size):
        """Return the next `count` draws, (n, chunk_size, ..., K), padded with 0."""
        noise = np.zeros((self._shape[0], chunk_size, *self._shape[1:]), keras.config.floatx())
        for row, generator in zip(noise, self._generators):
            row[:count] = generator.standard_normal((count, *self._shape[1:]))
        return noise
