"""The expected loss of perturbed inputs, and its gradient with respect to the amplitude."""

import numpy as np
from keras import ops

from keras_slashed.backend import input_gradient
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.instance_noise import InstanceNoise
from keras_slashed.metrics.posterior import output_of
from keras_slashed.ops.amplitude import amplitude_to_normal
from keras_slashed.ops.floats import at_least_float32


class PerturbedLoss:
    """`E[loss(y, model(x + noise u))]` over fixed draws, where u has the amplitude psi.

    The model processes the draws in chunks, and is compiled once for all of them.

    Args:
        model: Callable. It takes inputs and returns outputs.
        loss: Callable. It takes labels and outputs, and returns one number for each row.
        noise: Float. Standard deviation of the prior.
        num_samples: Integer. Number of draws.
        chunk_size: Integer. Number of draws in one computation.
        seed: Integer. Seed of the draws.
    """

    def __init__(self, model, loss, noise, num_samples, chunk_size, seed):
        self._model = model
        self._loss = loss
        self._noise = noise
        self._num_samples = num_samples
        self._chunk_size = min(chunk_size, num_samples)
        self._seed = seed
        self._compiled = Compiled(self._sum_over_draws, [model, loss])

    def of_batch(self, x, y, instances):
        """Return a function from the amplitude of a batch to losses, (n,), and their gradient.

        Args:
            x: NumPy array of shape (n, ..., C). Inputs.
            y: Array with n entries. Labels.
            instances: Iterable of integers. Index in the data of each real row, which is the seed
                of its draws.
        """

        def loss_and_gradient(amplitude):
            draws = InstanceNoise(self._seed, instances, x.shape)
            losses, gradient = np.zeros(len(x)), np.zeros(amplitude.shape)
            for start in range(0, self._num_samples, self._chunk_size):
                count = min(self._chunk_size, self._num_samples - start)
                noise = draws.draw(count, self._chunk_size)
                weights = (np.arange(self._chunk_size) < count).astype(x.dtype)
                weights = np.tile(weights, (len(x), 1))
                chunk = self._compiled.predict_on_batch((x, y, amplitude, noise, weights))
                losses += chunk[0]
                gradient += chunk[1]
            return losses / self._num_samples, gradient / self._num_samples

        return loss_and_gradient

    def _sum_over_draws(self, inputs):
        """Return the losses, (n,), summed over a chunk of draws, and their gradient."""
        x, y, amplitude, noise, weights = inputs
        chunk_size = weights.shape[1]
        y = ops.repeat(y, chunk_size, axis=0)

        def total(amplitude):
            mean, stddev = (ops.expand_dims(t, 1) for t in amplitude_to_normal(amplitude))
            z = ops.expand_dims(x, 1) + self._noise * (mean + stddev * noise)
            outputs = self._model(ops.reshape(z, (-1, *x.shape[1:])))
            losses = at_least_float32(output_of("loss", self._loss, y, outputs))
            if len(losses.shape) != 1:
                raise ValueError(
                    "Argument `loss` must return one number for each row. "
                    f"Received: shape {tuple(losses.shape)}"
                )
            losses = ops.sum(weights * ops.reshape(losses, (-1, chunk_size)), axis=1)
            return ops.sum(losses), losses

        gradient, losses = input_gradient(total, amplitude)
        return losses, gradient
