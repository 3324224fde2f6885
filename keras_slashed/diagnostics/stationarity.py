"""The residual of Theorem 5.1's equation for any weight of the KL."""

import numpy as np

from keras_slashed.evaluation.moments import RunningMoments

_FIRST, _SECOND = [0, 0, 1], [1, 2, 2]


class Stationarity:
    """The residual of `psi = -G / (2 beta)` over a stream, where G is the expected gradient.

    `|psi + G / (2 beta)|^2 = |psi|^2 + <psi, G> / beta + |G|^2 / (4 beta^2)`. For each latent
    dimension, this class keeps the means and covariances over the instances of these three
    products, so that beta need not be known before the end. The square of an estimate of G
    exceeds that of G by the variance of the estimate, which is subtracted. All three are
    unbiased, and may therefore be slightly below 0.
    """

    def __init__(self):
        # Moments of the three products, and of the sum of each two of them. The variance of a
        # sum gives the covariance of its terms.
        self._moments = RunningMoments()

    def add(self, amplitude, gradient, variance):
        """Add instances, `(n, ..., 2K)`, each by its mean over the axes in the middle."""
        products = amplitude**2, amplitude * gradient, gradient**2 - variance
        products = np.stack([_by_dimension(product) for product in products], axis=1)
        products = products.mean(axis=tuple(range(2, products.ndim - 1)))
        sums = products[:, _FIRST] + products[:, _SECOND]
        self._moments.add(np.concatenate([products, sums], axis=1))

    @property
    def count(self):
        """The number of instances."""
        return self._moments.count

    @property
    def rate(self):
        """`E |psi_k|^2`, `(K,)`."""
        return self._moments.mean[0]

    @property
    def projection(self):
        """`E <psi_k, G_k>`, `(K,)`."""
        return self._moments.mean[1]

    @property
    def squared_gradient(self):
        """`E |G_k|^2`, `(K,)`."""
        return self._moments.mean[2]

    def residual(self, beta):
        """Return `E |psi_k + G_k / (2 beta)|^2` and its standard error, both `(K,)`."""
        weights = np.array([1.0, 1.0 / beta, 0.25 / beta**2])
        variances, of_sums = np.split(self._moments.variance, 2)
        covariances = 0.5 * (of_sums - variances[_FIRST] - variances[_SECOND])
        variance = weights**2 @ variances
        variance = variance + 2.0 * (weights[_FIRST] * weights[_SECOND]) @ covariances
        if self.count < 2:
            error = np.full(variance.shape, np.nan)
        else:
            error = np.sqrt(np.maximum(variance, 0.0) / (self.count - 1))
        return weights @ self._moments.mean[:3], error


def _by_dimension(x):
    """Add the entries of a_k and b_k, from (..., 2K) to (..., K)."""
    real, imaginary = np.split(x, 2, axis=-1)
    return real + imaginary
