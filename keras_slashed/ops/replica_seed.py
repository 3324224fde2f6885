"""Noise that differs between the replicas of a step on several devices."""

import keras
from keras import ops

from keras_slashed.backend import replica_index
from keras_slashed.ops.stream_seed import stream_seed

# Far apart, so that no replica draws what a layer with the next seed draws on another.
_STEP = 0x9E3779B1


class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A seed generator whose seeds differ between replicas, while its state does not.

    Replicas start from one state and advance it alike: under TensorFlow's
    `MirroredStrategy`, and under PyTorch's `DistributedDataParallel`, which copies the
    state of rank 0 to all, each would draw the same noise for its share of the batch.
    On one device, and on JAX, where the noise of the joined batch is drawn at once, all
    seeds are those of the first replica.

    Args:
        seed: Integer of 0 to 2**31 - 1, of a stream that is not
            `keras.random.SeedGenerator(seed)`'s; or None for one that Keras draws.
        **kwargs: As for `keras.random.SeedGenerator`.
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
        # In 64 bits, then back to 31: some backends keep seeds in signed integers.
        first, second = ops.unstack(ops.cast(seed, "int64"))
        first = (first + ops.cast(index, "int64") * _STEP) % (2**31 - 1)
        return ops.cast(ops.stack([first, second]), seed.dtype)
