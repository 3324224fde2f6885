"""Draws of some normals in the densities of all: what a mixture of them needs."""

from keras import ops

from keras_slashed.distributions.density import log_density
from keras_slashed.distributions.density import standardized
from keras_slashed.ops.amplitude import relative_log_stddev
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import widen_amplitude


def normal_parameters(amplitude):
    """Return means and logarithms of deviations on a standard normal prior, (..., K)."""
    psi = widen_amplitude(amplitude)
    return relative_normal(psi)[0], relative_log_stddev(psi)


def log_densities(z, mean, log_stddev):
    """Return the log-densities of independent normals at z, all broadcasting, (...)."""
    distances = standardized(z - mean, log_stddev)
    return log_density(distances, z.shape[-1], ops.sum(log_stddev, axis=-1))


def log_sum_of_densities(z, mean, log_stddev, log_weights):
    """Return `log sum_j w_j q_j(z_i)`, (R,), for R draws and C normals.

    Args:
        z: Draws, (R, K).
        mean: Means, (C, K).
        log_stddev: Logarithms of standard deviations, (C, K).
        log_weights: Of the normals, (C,); -inf leaves one out.
    """
    return ops.logsumexp(log_densities(z[:, None], mean, log_stddev) + log_weights, axis=-1)
