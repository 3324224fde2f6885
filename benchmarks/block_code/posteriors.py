"""Posteriors of a rate, in directions that differ in how hard they are to encode."""

import dataclasses
import math

import numpy as np
from keras import ops

from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import log_stdplus

# Which parts of an amplitude are not 0, and their signs.
DIRECTIONS = ("mean", "narrow", "mean and narrow", "mean and wide")


@dataclasses.dataclass(frozen=True)
class Posterior:
    """A normal distribution relative to a standard normal prior."""

    amplitude: np.ndarray  # float32 array (2k,)
    mean: np.ndarray  # array (k,)
    log_stddev: np.ndarray  # array (k,)


def posterior(direction, latent_dim, rate, number):
    """Return a posterior of a rate.

    Args:
        direction: String, one of `DIRECTIONS`.
        latent_dim: Integer. Number k of latent dimensions.
        rate: Float. Rate in nats.
        number: Integer. Number of the random direction. In direction 0 only one dimension
            carries nats.
    """
    rng = np.random.default_rng([latent_dim, number])
    real, imaginary = rng.normal(size=(2, latent_dim))
    real *= "mean" in direction
    imaginary = np.abs(imaginary) * (("wide" in direction) - 1.0 * ("narrow" in direction))
    if number == 0:
        real[1:], imaginary[1:] = 0.0, 0.0
    amplitude = np.concatenate([real, imaginary])
    amplitude = np.float32(amplitude * math.sqrt(rate / np.sum(amplitude**2)))
    mean, _ = amplitude_to_normal(amplitude)
    log_stddev = log_stdplus(math.sqrt(2.0) * amplitude[latent_dim:])
    return Posterior(amplitude, *(np.float64(ops.convert_to_numpy(x)) for x in (mean, log_stddev)))
