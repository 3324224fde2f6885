"""SlashedNormal: independent normal distributions, defined by an amplitude and a prior."""

from keras import ops

from keras_slashed.distributions.amplitude_distribution import AmplitudeDistribution
from keras_slashed.distributions.density import axes_for_draws
from keras_slashed.distributions.density import entropy_of
from keras_slashed.distributions.density import insert_axes
from keras_slashed.distributions.density import log_density
from keras_slashed.distributions.density import standardized
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import epsilon
from keras_slashed.ops.reparameterize import on_prior
from keras_slashed.validation import check_batches
from keras_slashed.validation import check_vector_shape


class SlashedNormal(AmplitudeDistribution):
    """K independent normal distributions whose KL divergence from a prior is `|psi|^2`.

    `mean = prior_mean + sqrt(2) prior_stddev a` and
    `stddev = |prior_stddev| stdplus(sqrt(2) b)`, where `a` and `b` are the first and last K
    entries of the amplitude psi. The K dimensions are one event: log-densities, entropies and
    KL divergences are sums over them, in nats.

    The leading axes of amplitude and prior broadcast to the batch shape. Where `prior_stddev`
    is 0, in some dimensions or in all, the distribution is degenerate: `log_prob` and `entropy`
    are those on its own subspace, which consists of the other dimensions.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        prior_mean: Float tensor or None. Prior mean, of a shape that broadcasts with
            `(..., K)`. Defaults to 0.
        prior_stddev: Float tensor or None. Prior standard deviation, of a shape that broadcasts
            with `(..., K)`. Defaults to 1. It may be 0, and it may be negative, which mirrors
            the mean.

    Raises:
        ValueError: If the last axis of the amplitude has an odd length, shapes do not
            broadcast, or a tensor is complex.

    Example:

    >>> posterior = keras_slashed.distributions.SlashedNormal([0.6, -0.8])
    >>> float(posterior.kl_divergence()), round(float(posterior.mean[0]), 4)
    (1.0, 0.8485)
    >>> z = posterior.sample(5, seed=0)
    >>> tuple(z.shape), tuple(posterior.log_prob(z).shape)
    ((5, 1), (5,))

    Reference:
        Slashed Normal, Eq. 14 to 16.
    """

    def __init__(self, amplitude, prior_mean=None, prior_stddev=None):
        super().__init__(
            amplitude,
            prior_mean=0.0 if prior_mean is None else prior_mean,
            prior_stddev=1.0 if prior_stddev is None else prior_stddev,
        )
        self._size = self._amplitude.shape[-1] // 2
        check_vector_shape("prior_mean", self._prior_mean.shape, self._size)
        check_vector_shape("prior_stddev", self._prior_stddev.shape, self._size)
        self._prior = self._prior_mean, self._prior_stddev
        self._batch = check_batches(
            amplitude=self._amplitude.shape[:-1],
            prior_mean=self._prior_mean.shape[:-1],
            prior_stddev=self._prior_stddev.shape[:-1],
        )
        self._zeros = ops.zeros_like(on_prior(self._relative_mean, *self._prior)[..., 0])

    @property
    def stddev(self):
        """The standard deviations, (..., K), 0 or more, in the dtype of the amplitude."""
        stddev = ops.abs(self._prior_stddev) * self._relative_stddev
        return cast_in_range(stddev + ops.expand_dims(self._zeros, -1), self._amplitude.dtype)

    def entropy(self):
        """Return the differential entropy on the subspace of the distribution, (...), in nats.

        It is `sum_k log stddev_k + r / 2 log(2 pi e)` over the r dimensions with a prior standard
        deviation other than 0.
        """
        log_stddev, is_kept = self._log_stddev(self._relative_log_stddev())
        return entropy_of(_sum(is_kept), _sum(log_stddev)) + self._zeros

    def _log_stddev(self, relative):
        """Return log standard deviations (0 where degenerate), and 1 or 0 (0 where degenerate)."""
        is_zero = self._prior_stddev == 0.0
        safe = ops.where(is_zero, ops.ones_like(self._prior_stddev), self._prior_stddev)
        log_stddev = ops.log(ops.abs(safe)) + relative
        zeros = ops.zeros_like(log_stddev)
        return ops.where(is_zero, zeros, log_stddev), ops.where(is_zero, zeros, zeros + 1.0)

    def _log_prob(self, z, relative_mean, relative_log_stddev, rotation):
        del rotation  # independent normals have none
        mean = self._mean_of(relative_mean)
        count = axes_for_draws(tuple(z.shape), self._batch, self._size)
        rounding = epsilon(z, self._amplitude)
        z = ops.cast(z, mean.dtype)
        log_stddev, is_kept = self._log_stddev(relative_log_stddev)
        mean, prior_mean, log_stddev, is_kept = (
            insert_axes(x, count) for x in (mean, self._prior_mean, log_stddev, is_kept)
        )
        distances = is_kept * standardized(z - mean, log_stddev)
        density = log_density(distances, _sum(is_kept), _sum(log_stddev))
        # The only value of a degenerate dimension is the prior mean.
        distance = (1.0 - is_kept) * ops.abs(z - prior_mean)
        is_off = distance > 4.0 * rounding * (ops.abs(z) + ops.abs(prior_mean))
        return ops.where(ops.any(is_off, axis=-1), -float("inf"), density)


def _sum(x):
    return ops.sum(x, axis=-1)
