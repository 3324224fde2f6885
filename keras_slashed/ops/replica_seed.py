"""A seed generator whose noise differs between the replicas of a distributed step."""

import keras
from keras import ops

from keras_slashed.backend import replica_index
from keras_slashed.ops.stream_seed import stream_seed

# A large step, so that no replica draws the same noise as another replica of a layer with the
# next seed.
_STEP = 0x9E3779B1


class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A seed generator with different seeds in each replica, but the same state in all of them.

    Replicas start from the same state and advance it in the same way. This happens under
    TensorFlow's `MirroredStrategy`, and under PyTorch's `DistributedDataParallel`, which copies
    the state of rank 0 to all ranks. With the same seeds, each replica would draw the same noise
    for its part of the batch. On one device all seeds are those of the first replica. So they
    are on JAX, which draws the noise of the joined batch at once.

    Args:
        seed: Integer from 0 to 2^31 - 1, or None. An integer starts a stream that differs from
            that of `keras.random.SeedGenerator(seed)`. With None, Keras draws the seed.
        **kwargs: Keyword arguments of `keras.random.SeedGenerator`.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(None if seed is None else stream_seed("layer", seed), **kwargs)
        self._seed = seed

    def get_config(self):
        return {**super().get_config(), "seed": self._seed}

    def next(self, ordered=True):
        seed = super().next(ordered)
        index = replica_index()
        if isinstance(index, int) and index == 0:
            return seed
        # Compute in 64 bits and return 31 bits, since some backends use signed integers.
        first, second = ops.unstack(ops.cast(seed, "int64"))
        first = (first + ops.cast(index, "int64") * _STEP) % (2**31 - 1)
        return ops.cast(ops.stack([first, second]), seed.dtype)
