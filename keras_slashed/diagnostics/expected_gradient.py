"""The expected gradient of a loss with respect to the amplitude, by Monte Carlo (Eq. 23 and 24)."""

import numpy as np
from keras import ops
from keras import tree

from keras_slashed.backend import input_gradient
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.moments import RunningMoments
from keras_slashed.metrics.posterior import output_of
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import widen_amplitude


class ExpectedGradient:
    """`E_eps grad_psi L(mu + sigma eps)` of each instance of a batch, and its error.

    The noise comes in pairs, eps and -eps. Terms that are odd in the noise cancel, so that the
    gradient with respect to the mean is exact if the loss is quadratic in z.

    Args:
        loss: Callable. It takes `(targets, z)` and returns one number for each row.
        num_pairs: Integer. Number of pairs of draws for each instance.
        chunk_pairs: Integer. Number of pairs of each instance in one computation.
        parts: List of objects that the loss calls, for `Compiled`.
    """

    def __init__(self, loss, num_pairs, chunk_pairs, parts):
        self._num_pairs = num_pairs
        self._chunk_pairs = min(chunk_pairs, num_pairs)
        self._compiled = Compiled(lambda inputs: _pair_gradients(loss, *inputs), parts)

    def __call__(self, amplitude, targets, noise, length):
        """Return gradient, variance of its estimate and mean loss of the first `length` instances.

        Args:
            amplitude: NumPy array of shape `(n, ..., 2K)`.
            targets: Nested structure of arrays with n rows. The first argument of the loss.
            noise: `InstanceNoise` of the batch.
            length: Integer. Number of real rows.

        Returns:
            NumPy arrays in float64 of shapes `(length, ..., 2K)`, `(length, ..., 2K)` and
            `(length,)`.
        """
        gradients, losses = RunningMoments(), RunningMoments()
        for start in range(0, self._num_pairs, self._chunk_pairs):
            count = min(self._chunk_pairs, self._num_pairs - start)
            inputs = amplitude, targets, noise.draw(count, self._chunk_pairs)
            chunk = self._compiled.predict_on_batch(inputs)
            for moments, values in zip((gradients, losses), chunk):
                moments.add(np.moveaxis(values[:length, :count], 1, 0))
        return gradients.mean, gradients.variance / (self._num_pairs - 1), losses.mean


def _pair_gradients(loss, amplitude, targets, noise):
    """Return gradients (n, P, ..., 2K) and losses (n, P) for noise (n, P, ..., K).

    Each of them is the mean over the two draws of a pair.
    """
    pairs = noise.shape[1]
    noise = ops.concatenate([noise, -noise], axis=1)
    noise = ops.reshape(noise, (-1, *noise.shape[2:]))
    repeated = tree.map_structure(lambda leaf: ops.repeat(leaf, 2 * pairs, axis=0), targets)

    def total(psi):
        mean, stddev = relative_normal(widen_amplitude(psi))
        z = mean + stddev * ops.cast(noise, mean.dtype)
        losses = ops.convert_to_tensor(output_of("loss", loss, repeated, z))
        _check_loss_shape(losses.shape, z.shape)
        losses = ops.cast(losses, mean.dtype)
        return ops.sum(losses), losses

    psi = ops.repeat(amplitude, 2 * pairs, axis=0)
    return tuple(_mean_of_pairs(x, pairs) for x in input_gradient(total, psi))


def _mean_of_pairs(x, pairs):
    x = ops.reshape(x, (-1, 2, pairs, *x.shape[1:]))
    return 0.5 * (x[:, 0] + x[:, 1])


def _check_loss_shape(shape, z_shape):
    if tuple(shape) != tuple(z_shape[:1]):
        raise ValueError(
            "`loss(x, z)` must return one number for each row of z, of shape "
            f"{tuple(z_shape)}. Received: a tensor of shape {tuple(shape)}"
        )
