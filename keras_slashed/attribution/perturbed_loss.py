"""The expected loss of perturbed inputs, and its gradient with respect to the amplitude."""

import math

import numpy as np
from keras import ops
from keras import tree

from keras_slashed.backend import input_gradient
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.instance_noise import InstanceNoise
from keras_slashed.evaluation.kept_state import KeptState
from keras_slashed.metrics.posterior import output_of
from keras_slashed.ops.amplitude import amplitude_to_normal
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import may_be_equal


class PerturbedLoss:
    """`E[loss(y, f(center + scale u))]` over fixed draws, where u has the amplitude psi.

    The amplitudes of an instance are one row, those of several inputs after each other. The model
    processes the draws in chunks, and is compiled once for all of them.

    Args:
        function: Callable. It takes a list of perturbed tensors and the other inputs, and returns
            outputs.
        parts: List of objects that the function calls, for `Compiled`.
        loss: Callable. It takes labels and outputs, and returns one number for each row.
        num_samples: Integer. Number of draws.
        chunk_size: Integer. Number of draws in one computation.
        seed: Integer or None. Seed of the draws.
    """

    def __init__(self, function, parts, loss, num_samples, chunk_size, seed):
        self._function = function
        self._loss = loss
        self._num_samples = num_samples
        self._chunk_size = min(chunk_size, num_samples)
        self._seed = stream_seed("amplitude_attribution", seed)
        self._compiled = Compiled(self._sum_over_draws, [*parts, loss])
        self._kept = KeptState([*parts, loss])

    def of_batch(self, batch, instances):
        """Return a function from the amplitudes of a batch to losses, (n,), and their gradient.

        Args:
            batch: Dict of what has a row for each of the n instances: "centers" and "scales",
                lists of float arrays, "others", a structure of arrays, and "y", an array.
            instances: Iterable of integers. Index in the data of each real row, which is the seed
                of its draws.
        """
        length, dtype = len(batch["y"]), batch["centers"][0].dtype

        def loss_and_gradient(amplitude):
            draws = [
                InstanceNoise(self._seed_of(index), instances, center.shape)
                for index, center in enumerate(batch["centers"])
            ]
            losses, gradient = np.zeros(length), np.zeros(amplitude.shape)
            for start in range(0, self._num_samples, self._chunk_size):
                count = min(self._chunk_size, self._num_samples - start)
                noise = [draw.draw(count, self._chunk_size) for draw in draws]
                weights = (np.arange(self._chunk_size) < count).astype(dtype)
                weights = np.tile(weights, (length, 1))
                inputs = {**batch, "amplitude": amplitude, "noise": noise, "weights": weights}
                chunk = self._compiled.predict_on_batch(inputs)
                losses += chunk[0]
                gradient += chunk[1]
            # A model that draws at inference draws the same in the next step.
            self._kept.restore()
            return losses / self._num_samples, gradient / self._num_samples

        return loss_and_gradient

    def _seed_of(self, index):
        """Return the seed of an input: one after the first has a stream of its own."""
        return stream_seed(f"input_{index}", self._seed) if index else self._seed

    def _sum_over_draws(self, inputs):
        """Return the losses, (n,), summed over a chunk of draws, and their gradient."""
        weights = inputs["weights"]
        chunk_size = weights.shape[1]
        y, others = tree.map_structure(
            lambda leaf: ops.repeat(leaf, chunk_size, axis=0), (inputs["y"], inputs["others"])
        )
        placed = inputs["centers"], inputs["scales"], inputs["noise"]

        def total(amplitude):
            perturbed, start = [], 0
            for center, scale, noise in zip(*placed):
                stop = start + 2 * math.prod(center.shape[1:])
                psi = ops.reshape(amplitude[:, start:stop], (-1, *_doubled(center.shape)[1:]))
                mean, stddev = (ops.expand_dims(t, 1) for t in amplitude_to_normal(psi))
                u = mean + stddev * noise
                z = ops.expand_dims(center, 1) + ops.expand_dims(scale, 1) * u
                perturbed.append(ops.reshape(z, (-1, *center.shape[1:])))
                start = stop
            outputs = self._function(perturbed, others)
            losses = at_least_float32(output_of("loss", self._loss, y, outputs))
            if len(losses.shape) != 1 or not may_be_equal(losses.shape[0], y.shape[0]):
                raise ValueError(
                    "Argument `loss` must return one number for each row. "
                    f"Received: shape {tuple(losses.shape)}"
                )
            losses = ops.sum(weights * ops.reshape(losses, (-1, chunk_size)), axis=1)
            return ops.sum(losses), losses

        gradient, losses = input_gradient(total, inputs["amplitude"])
        return losses, gradient


def packed(arrays):
    """Return arrays of n rows as one of shape (n, ...), their elements after each other."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def unpacked(rows, shapes):
    """Return arrays of amplitudes of elements of the given shapes (n, ..., C)."""
    ends = np.cumsum([2 * math.prod(shape[1:]) for shape in shapes])
    parts = np.split(rows, ends[:-1], axis=1)
    return [part.reshape(len(part), *_doubled(shape)[1:]) for part, shape in zip(parts, shapes)]


def _doubled(shape):
    return (*shape[:-1], 2 * shape[-1])
