"""A linear-Gaussian model, whose evidence, posterior and information are known: NumPy and SciPy.

z ~ N(0, I), x = W z + sigma eps.
"""

import keras
import numpy as np
import scipy.stats


class LinearGaussian:
    """x = W z + sigma eps; with `orthogonal` columns of W the posterior is diagonal."""

    def __init__(self, latents=3, features=5, sigma=0.7, orthogonal=True, seed=0):
        rng = np.random.default_rng(seed)
        self.matrix = rng.normal(size=(features, latents))
        if orthogonal:
            scales = np.linspace(2.0, 0.3, latents)
            self.matrix = np.linalg.qr(self.matrix)[0] * scales
        self.sigma = sigma
        self.features, self.latents = features, latents
        precision = np.eye(latents) + self.matrix.T @ self.matrix / sigma**2
        self.covariance = np.linalg.inv(precision)  # of the posterior
        self.to_mean = self.covariance @ self.matrix.T / sigma**2
        self.stddev = np.sqrt(np.diag(self.covariance))

    def sample(self, count, seed=1):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(count, self.latents))
        return z @ self.matrix.T + self.sigma * rng.normal(size=(count, self.features))

    def nll(self, x):
        """Return -log p(x) of each row."""
        covariance = self.matrix @ self.matrix.T + self.sigma**2 * np.eye(self.features)
        return -scipy.stats.multivariate_normal(np.zeros(self.features), covariance).logpdf(x)

    @property
    def mutual_information(self):
        """I(x; z), with the true posterior as encoder."""
        return -0.5 * np.linalg.slogdet(self.covariance)[1]

    def divergence(self, x, mean, stddev):
        """Return KL(N(mean, diag(stddev^2)) || p(z|x)) of each row."""
        precision = np.linalg.inv(self.covariance)
        off = x @ self.to_mean.T - mean
        trace = np.sum(np.diag(precision) * stddev**2)
        determinants = np.linalg.slogdet(self.covariance)[1] - 2 * np.sum(np.log(stddev))
        distance = np.einsum("ni,ij,nj->n", off, precision, off)
        return 0.5 * (trace - self.latents + distance + determinants)

    def log_likelihood(self, x, z):
        """Return log p(x|z) of pairs of rows, a tensor."""
        residual = x - keras.ops.matmul(z, keras.ops.array(self.matrix.T, dtype="float32"))
        scaled = keras.ops.sum(residual * residual, axis=-1) / self.sigma**2
        return -0.5 * (scaled + self.features * np.log(2 * np.pi * self.sigma**2))

    def posterior_mean(self, x):
        """Return the mean of p(z|x), a tensor."""
        return keras.ops.matmul(x, keras.ops.array(self.to_mean.T, dtype="float32"))


def imaginary_part(stddev):
    """Return b with stdplus(sqrt(2) b) = stddev, in NumPy."""
    return np.sign(stddev - 1) * np.sqrt((stddev**2 - 1 - 2 * np.log(stddev)) / 2)


def amplitude_of(mean, stddev):
    """Return the amplitude, a tensor, of means, a tensor, and constant deviations."""
    b = keras.ops.array(imaginary_part(stddev), dtype="float32")
    return keras.ops.concatenate([mean / 2**0.5, b + 0.0 * mean], axis=-1)
