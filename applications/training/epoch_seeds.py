"""Random numbers by epoch, so that training may stop after one and go on the same."""

import keras
import numpy as np


def set_noise(model, *numbers):
    """Set every seed generator of a model to a state made of integers."""
    if keras.backend.backend() == "torch":
        # Keras' Dropout draws from PyTorch's own generator there.
        keras.utils.set_random_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
    generators = [v for v in model.variables if v.name == "seed_generator_state"]
    for index, state in enumerate(generators):
        words = np.random.SeedSequence([*numbers, index]).generate_state(2)
        # 31 bits: some backends keep a state in signed integers.
        state.assign((words >> 1).astype(keras.backend.standardize_dtype(state.dtype)))


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of (x, y), in an order made of seed and epoch.

    Args:
        x: Array of inputs, or of their numbers.
        y: Array of labels.
        batch_size: Instances in a batch; the last one may have fewer.
        seed: Integer.
    """

    def __init__(self, x, y, batch_size, seed):
        super().__init__(workers=0)
        self._x, self._y = x, y
        self._batch_size = batch_size
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Shuffle for an epoch, whatever epochs came before."""
        rng = np.random.default_rng([self._seed, epoch])
        self._order = rng.permutation(len(self._y))

    def __len__(self):
        return -(-len(self._y) // self._batch_size)

    def __getitem__(self, index):
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._x[chosen], self._y[chosen]


class EpochSeeds(keras.callbacks.Callback):
    """At the start of each epoch, seed its order and its noise by its number.

    Args:
        batches: `ShuffledBatches` or `TextBatches`.
        seed: Integer seed of the noise; that of the order is the batches' own.
    """

    def __init__(self, batches, seed):
        super().__init__()
        self._batches = batches
        self._seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        self._batches.set_epoch(epoch)
        set_noise(self.model, self._seed, epoch)
