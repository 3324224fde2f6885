"""Densities of draws under several normal distributions, for mixtures of them."""

from keras import ops

from keras_slashed.distributions.density import log_density
from keras_slashed.distributions.density import standardized
from keras_slashed.ops.amplitude import relative_log_stddev
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import widen_amplitude


def normal_parameters(amplitude):
    """Return the means and log standard deviations with a standard normal prior, (..., K)."""
    psi = widen_amplitude(amplitude)
    return relative_normal(psi)[0], relative_log_stddev(psi)


def log_densities(z, mean, log_stddev):
    """Return the log-densities, (...), of independent normals at z. All arguments broadcast."""
    distances = standardized(z - mean, log_stddev)
    return log_density(distances, z.shape[-1], ops.sum(log_stddev, axis=-1))


def log_sum_of_densities(z, mean, log_stddev, log_weights):
    """Return `log sum_j w_j q_j(z_i)`, (R,), for R draws and C normal distributions.

    Args:
        z: Float tensor of shape (R, K). Draws.
        mean: Float tensor of shape (C, K). Means.
        log_stddev: Float tensor of shape (C, K). Logarithms of the standard deviations.
        log_weights: Float tensor of shape (C,). Logarithms of the weights of the distributions,
            where -inf excludes one.
    """
    return ops.logsumexp(log_densities(z[:, None], mean, log_stddev) + log_weights, axis=-1)
