"""Random numbers that depend on the epoch, so that interrupted training continues unchanged."""

import keras
import numpy as np

from applications.training.backends import for_fit


def set_noise(model, *numbers):
    """Set every seed generator of a model to a state that is derived from integers."""
    if keras.backend.backend() == "torch":
        # On PyTorch, Keras' Dropout draws from PyTorch's global generator.
        keras.utils.set_random_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))
    generators = [v for v in model.variables if v.name == "seed_generator_state"]
    for index, state in enumerate(generators):
        words = np.random.SeedSequence([*numbers, index]).generate_state(2)
        # 31 bits, because some backends store the state as signed integers.
        state.assign((words >> 1).astype(keras.backend.standardize_dtype(state.dtype)))


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of (x, y), in an order that depends on seed and epoch.

    Args:
        x: Array of inputs, or of their indices.
        y: Array of labels.
        batch_size: Integer. Instances per batch. The last batch may have fewer.
        seed: Integer. Seed of the order.
    """

    def __init__(self, x, y, batch_size, seed):
        super().__init__(workers=0)
        self._x, self._y = x, y
        self._batch_size = batch_size
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Shuffle for an epoch, independently of the epochs before."""
        rng = np.random.default_rng([self._seed, epoch])
        self._order = rng.permutation(len(self._y))

    def __len__(self):
        return -(-len(self._y) // self._batch_size)

    def __getitem__(self, index):
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._x[chosen], self._y[chosen]


class EpochSeeds(keras.callbacks.Callback):
    """Seed order and noise by the epoch's number at the start of each epoch.

    Args:
        batches: `ShuffledBatches` or `TextBatches`, which have their own seed of the order.
        seed: Integer. Seed of the noise.
    """

    def __init__(self, batches, seed):
        super().__init__()
        self._batches = batches
        self._seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        self._batches.set_epoch(epoch)
        set_noise(self.model, self._seed, epoch)


def fit(model, batches, seed, callbacks=(), **options):
    """Train a model such that order and noise of an epoch depend only on the epoch's number.

    Args:
        model: Compiled `keras.Model`.
        batches: `ShuffledBatches` or `TextBatches`, which shuffle themselves.
        seed: Integer. Seed of the noise.
        callbacks: Sequence of callbacks, which follow the one that seeds the epochs.
        **options: Further keyword arguments of `keras.Model.fit`, such as `epochs`. Its progress
            is not printed by default.

    Returns:
        `keras.callbacks.History`, as `fit` returns it.
    """
    callbacks = [EpochSeeds(batches, seed), *callbacks]
    options = {"verbose": 0, **options}
    return model.fit(for_fit(batches), shuffle=False, callbacks=callbacks, **options)
