"""What training of `applications.disentangle` needs beyond `model.fit`."""

import keras
import numpy as np

from applications.training.epoch_seeds import ShuffledBatches


class SomeBatches(ShuffledBatches):
    """The first batches of `ShuffledBatches`, so that an epoch has a given number of steps.

    Args:
        x: Array of images, which are also the targets.
        batch_size: Integer. Images per batch.
        steps: Integer. Batches in an epoch, at most those of all images.
        seed: Integer. Seed of the order.
    """

    def __init__(self, x, batch_size, steps, seed):
        super().__init__(x, x, batch_size, seed)
        self._steps = min(steps, len(x) // batch_size)

    def __len__(self):
        return self._steps


class CapacitySchedule(keras.callbacks.Callback):
    """Set C of a `CapacityPenalty` before each epoch, and log it.

    Args:
        penalty: `CapacityPenalty` of the model.
        schedule: Function of the epoch that returns C in nats.
    """

    def __init__(self, penalty, schedule):
        super().__init__()
        self._penalty = penalty
        self._schedule = schedule

    def on_epoch_begin(self, epoch, logs=None):
        self._penalty.capacity.assign(self._schedule(epoch))

    def on_epoch_end(self, epoch, logs=None):
        logs["latent_target_rate"] = self._schedule(epoch)


class UnitRates(keras.callbacks.Callback):
    """Log the rate of each latent dimension at inference after each epoch, in nats.

    Args:
        encoder: Model from images to amplitudes.
        x: Array of images.
    """

    def __init__(self, encoder, x):
        super().__init__()
        self._encoder = encoder
        self._x = x

    def on_epoch_end(self, epoch, logs=None):
        for k, rate in enumerate(unit_rates(self._encoder.predict_on_batch(self._x))):
            logs[f"unit{k}_rate"] = float(rate)


def unit_rates(amplitude):
    """Return the mean rate of each latent dimension of amplitudes (N, 2K), in NumPy."""
    squares = np.mean(np.square(np.asarray(amplitude, "float64")), axis=0)
    return squares.reshape(2, -1).sum(axis=0)
