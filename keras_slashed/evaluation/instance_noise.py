"""Noise for a batch, the same whatever the batches are."""

import keras
import numpy as np


class InstanceNoise:
    """Standard normal numbers of a batch, those of each instance from a generator of its own.

    They depend on the seed and the instance's place in the data alone: they come from
    NumPy, and are the same on every backend and in batches of any size.

    Args:
        seed: Integer.
        instances: Place in the data of each real row of the batch.
        shape: Of the noise of one draw, (n, ...); n may be more than the instances.
    """

    def __init__(self, seed, instances, shape):
        self._generators = [np.random.default_rng([seed, instance]) for instance in instances]
        self._shape = shape

    def draw(self, count, chunk_size):
        """Return the next `count` draws, (n, chunk_size, ..., K), and 0 beyond them."""
        noise = np.zeros((self._shape[0], chunk_size, *self._shape[1:]), keras.config.floatx())
        for row, generator in zip(noise, self._generators):
            row[:count] = generator.standard_normal((count, *self._shape[1:]))
        return noise
