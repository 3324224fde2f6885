"""SlashedNormal: independent normals, given by an amplitude and a prior."""

from keras import ops

from keras_slashed.distributions.density import axes_for_draws
from keras_slashed.distributions.density import entropy_of
from keras_slashed.distributions.density import insert_axes
from keras_slashed.distributions.density import log_density
from keras_slashed.distributions.density import standardized
from keras_slashed.ops.amplitude import rate
from keras_slashed.ops.amplitude import relative_log_stddev
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import epsilon
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.reparameterize import on_prior
from keras_slashed.ops.reparameterize import relative_sample
from keras_slashed.validation import check_batches
from keras_slashed.validation import check_num_samples
from keras_slashed.validation import check_vector_shape


class SlashedNormal:
    """K independent normals whose KL divergence from a prior is |psi|^2.

    `mean = prior_mean + sqrt(2) prior_stddev a` and
    `stddev = |prior_stddev| stdplus(sqrt(2) b)`, where `a` and `b` are the first
    and the last K entries of the amplitude psi. The K dimensions are one event:
    densities, entropies and divergences are sums over them, in nats.

    The leading axes of amplitude and prior broadcast to the batch's shape. Where
    `prior_stddev` is 0, in some dimensions or all, the distribution is
    degenerate: `log_prob` and `entropy` are those of its own subspace, the other
    dimensions.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        prior_mean: Prior mean, of a shape that broadcasts with `(..., K)`. 0 by
            default.
        prior_stddev: Prior standard deviation, likewise. 1 by default. Of any
            sign, and maybe 0; its sign mirrors the mean.

    Raises:
        ValueError: The amplitude's last axis is not even, or shapes do not
            broadcast.

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
        self._amplitude = to_amplitude(amplitude)
        self._size = self._amplitude.shape[-1] // 2
        self._relative_mean, self._relative_stddev = relative_normal(self._amplitude)
        self._prior_mean = self._prior("prior_mean", prior_mean, 0.0)
        self._prior_stddev = self._prior("prior_stddev", prior_stddev, 1.0)
        self._batch = check_batches(
            amplitude=self._amplitude.shape[:-1],
            prior_mean=self._prior_mean.shape[:-1],
            prior_stddev=self._prior_stddev.shape[:-1],
        )
        self._wide_mean = self._prior_mean + self._prior_stddev * self._relative_mean

    @property
    def mean(self):
        """The posterior mean, (..., K), in the amplitude's dtype."""
        return cast_in_range(self._wide_mean, self._amplitude.dtype)

    @property
    def stddev(self):
        """The standard deviations, (..., K), 0 or more, in the amplitude's dtype."""
        stddev = ops.abs(self._prior_stddev) * self._relative_stddev
        return cast_in_range(stddev + ops.zeros_like(self._wide_mean), self._amplitude.dtype)

    def sample(self, num_samples=None, seed=None):
        """Draw from the posterior.

        Args:
            num_samples: None, or the number S of draws.
            seed: An integer, for the same draws in each call, a
                `keras.random.SeedGenerator`, or None for Keras' own. A compiled
                function wants a generator. The draws of an integer are independent of
                `keras.random.normal(shape, seed=seed)`. In a functional model draw with
                `keras_slashed.layers.SlashedNormalSampling`.

        Returns:
            A tensor of shape `(..., K)`, or `(..., S, K)`, in the amplitude's
            dtype. Its gradients reach the amplitude and the prior.
        """
        check_num_samples(num_samples)
        amplitude = self._amplitude
        if len(amplitude.shape) - 1 < len(self._batch) or 1 in amplitude.shape[:-1]:
            # A draw for each of the batch, also where only the prior has its axes.
            zeros = ops.zeros_like(self._wide_mean[..., :1])
            amplitude = amplitude + ops.cast(zeros, amplitude.dtype)
        z = relative_sample(amplitude, num_samples=num_samples, seed=seed)
        prior = self._prior_mean, self._prior_stddev
        z = on_prior(z, *prior, samples=num_samples is not None)
        return cast_in_range(z, self._amplitude.dtype)

    def log_prob(self, z):
        """Return the log-density of the posterior.

        Where the prior's deviation is 0 in some dimensions it is the density in
        the others, and `-inf` for a z off this subspace by more than rounding, as
        SciPy has it; the gradient there is 0. On the subspace the density and its
        gradients are finite: where it divides, a deviation counts as at least
        `exp(-80)` (in float64 `exp(-700)`), and a distance as at most 2^60
        deviations. The logarithms of the deviations themselves never underflow.

        Args:
            z: Float tensor of shape `(..., K)`, its leading axes broadcasting with
                the batch; or draws as `sample` returns them, with their axis S (or
                several) after those of the batch. Where both fit, it is draws.

        Returns:
            A tensor of shape `(...)` in float32 or wider.
        """
        return self._log_prob(z, self._wide_mean, relative_log_stddev(self._amplitude))

    def prior_log_prob(self, z):
        """Return the log-density of the prior; z and the result as in `log_prob`."""
        zeros = ops.zeros_like(self._wide_mean)
        return self._log_prob(z, self._prior_mean + zeros, ops.zeros_like(self._relative_mean))

    def entropy(self):
        """Return the differential entropy on the own subspace, (...), in nats."""
        log_stddev, is_kept = self._log_stddev(relative_log_stddev(self._amplitude))
        return entropy_of(_sum(is_kept), _sum(log_stddev)) + self._zeros()

    def kl_divergence(self):
        """Return the rate |psi|^2, (...), in nats, in float32 or wider.

        It is the KL divergence of the posterior from the prior where no
        `prior_stddev` is 0. One that is 0 drops what was paid for its dimension:
        then the divergence of the two distributions of z is less than the rate.
        """
        return rate(self._amplitude) + self._zeros()

    def _prior(self, name, value, default):
        value = to_float_tensor(default if value is None else value)
        value = ops.cast(value, self._relative_mean.dtype)
        check_vector_shape(name, value.shape, self._size)
        return value

    def _zeros(self):
        return ops.zeros_like(self._wide_mean[..., 0])

    def _log_stddev(self, relative):
        """Return log deviations, 0 where degenerate, and 1 or 0 for what is not."""
        is_zero = self._prior_stddev == 0.0
        safe = ops.where(is_zero, ops.ones_like(self._prior_stddev), self._prior_stddev)
        log_stddev = ops.log(ops.abs(safe)) + relative
        zeros = ops.zeros_like(log_stddev)
        return ops.where(is_zero, zeros, log_stddev), ops.where(is_zero, zeros, zeros + 1.0)

    def _log_prob(self, z, mean, relative_log_stddev):
        z = to_float_tensor(z)
        count = axes_for_draws(tuple(z.shape), self._batch, self._size)
        rounding = epsilon(z, self._amplitude)
        z = ops.cast(z, mean.dtype)
        log_stddev, is_kept = self._log_stddev(relative_log_stddev)
        mean, prior_mean, log_stddev, is_kept = (
            insert_axes(x, count) for x in (mean, self._prior_mean, log_stddev, is_kept)
        )
        distances = is_kept * standardized(z - mean, log_stddev)
        density = log_density(distances, _sum(is_kept), _sum(log_stddev))
        # A degenerate dimension holds the prior mean alone.
        distance = (1.0 - is_kept) * ops.abs(z - prior_mean)
        is_off = distance > 4.0 * rounding * (ops.abs(z) + ops.abs(prior_mean))
        return ops.where(ops.any(is_off, axis=-1), -float("inf"), density)


def _sum(x):
    return ops.sum(x, axis=-1)
