"""An estimate of the distance of decoded draws, for any number of candidates.

With N candidates z_i from p, the decoder receives draws of density
`q(z) E[1 / (w(z) / N + S)]`, where `w = q / p` and `S = (w(z_2) + ... + w(z_N)) / N`. S is the
sum of few large weights and of many small ones. The large ones are a Poisson process, which draws
from q give, thinned by N / w. The sum of the small ones is close to its mean, and here has the
gamma distribution with its mean and variance. The cost does not depend on N.
"""

import math

import numpy as np

_LARGE = 0.02  # a weight above this times N belongs to the Poisson process
_SUMS = 1000  # draws of S
_GRID = np.linspace(-25.0, 60.0, 400)  # logarithms of w / N


class DistanceEstimate:
    """Estimates of the Kolmogorov-Smirnov distance for one posterior.

    Args:
        posterior: `Posterior` to encode.
        candidate_stddev: Float. Standard deviation of the candidates.
        draws: Integer. Number of draws from the posterior.
        seed: Integer. Seed of the draws.
    """

    def __init__(self, posterior, candidate_stddev, draws=10000, seed=0):
        self._rng = np.random.default_rng(seed)
        noise = self._rng.standard_normal((draws, len(posterior.mean)))
        z = posterior.mean + np.exp(posterior.log_stddev) * noise
        log_ratio = (z / candidate_stddev) ** 2 / 2.0 - noise**2 / 2.0 - posterior.log_stddev
        self._log_weight = np.sum(log_ratio + math.log(candidate_stddev), axis=-1)
        self._order = np.argsort(noise, axis=0)

    def distance(self, bits):
        """Return the largest distance of a dimension with `2^bits` candidates."""
        log_share = self._log_weight - bits * math.log(2.0)
        sums = np.maximum(self._sums(log_share), 1e-30)
        mean_inverse = np.mean(1.0 / (np.exp(_GRID)[:, None] + sums), axis=1)
        density = np.interp(log_share, _GRID, mean_inverse)  # decoded, divided by q
        # Differences of distribution functions, in the order of each dimension.
        differences = np.cumsum(density[self._order] - 1.0, axis=0) / len(density)
        return np.max(np.abs(differences))

    def _sums(self, log_share):
        share = np.exp(np.minimum(log_share, 200.0))
        large = share > _LARGE
        sums = np.zeros(_SUMS)
        mean, variance = np.mean(~large), np.mean(np.where(large, 0.0, share))
        if mean > 0:
            variance = max(variance, 1e-12)
            sums += self._rng.gamma(mean**2 / variance, variance / mean, _SUMS)
        intensity = np.where(large, 1.0 / share, 0.0)
        if large.any():
            counts = self._rng.poisson(np.mean(intensity), _SUMS)
            chosen = self._rng.choice(len(share), counts.sum(), p=intensity / intensity.sum())
            np.add.at(sums, np.repeat(np.arange(_SUMS), counts), share[chosen])
        return sums
