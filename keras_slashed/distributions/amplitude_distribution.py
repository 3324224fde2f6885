"""AmplitudeDistribution: what both distributions that amplitudes stand for have in common."""

from keras import ops

from keras_slashed.ops.amplitude import rate_of
from keras_slashed.ops.amplitude import relative_log_stddev
from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.reparameterize import on_prior
from keras_slashed.ops.reparameterize import relative_sample
from keras_slashed.validation import check_num_samples


class AmplitudeDistribution:
    """A normal of an amplitude, `prior_mean + S0 (sqrt(2) a + P stdplus(sqrt(2) b) eps)`.

    A subclass sets `_prior`, that is prior mean, prior standard deviation and S0, of which
    only one of the last two is no None; `_size`, `_batch` and `_zeros`, which are zeros of
    the batch's shape; and `_rotation` where it has a P. It defines `_log_prob` and `entropy`.
    """

    _rotation = None

    def __init__(self, amplitude):
        self._amplitude = to_amplitude(amplitude)
        self._psi = widen_amplitude(self._amplitude)
        self._relative_mean, self._relative_stddev = relative_normal(self._psi)

    @property
    def mean(self):
        """The posterior mean, (..., D), in the amplitude's dtype; D is K without an S0."""
        return cast_in_range(self._mean_of(self._relative_mean), self._amplitude.dtype)

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
            A tensor of shape `(..., D)`, or `(..., S, D)`, in the amplitude's dtype, where D
            is K without a scale matrix. Its gradients reach the amplitude, the rotation and
            the prior.
        """
        check_num_samples(num_samples)
        # A draw for each of the batch, also where only the prior has its axes.
        psi = self._psi + ops.expand_dims(self._zeros, -1)
        z = relative_sample(psi, self._rotation, num_samples, seed)
        z = on_prior(z, *self._prior, samples=num_samples is not None)
        return cast_in_range(z, self._amplitude.dtype)

    def log_prob(self, z):
        """Return the log-density of the posterior, on its own subspace if degenerate.

        A z off the subspace by more than rounding has the density `-inf`, as SciPy
        has it, and a gradient of 0. On it the density and its gradients are finite: where
        it divides, a deviation counts as at least `exp(-80)` (in float64 `exp(-700)`), and a
        distance as at most 2^60 deviations. The logarithms of the deviations themselves never
        underflow.

        Args:
            z: Float tensor of shape `(..., D)`, its leading axes broadcasting with
                the batch; or draws as `sample` returns them, with their axis S (or
                several) after those of the batch. Where both fit, it is draws. D is K
                without a scale matrix.

        Returns:
            A tensor of shape `(...)` in float32 or wider.
        """
        return self._log_prob(z, self._relative_mean, self._relative_log_stddev(), self._rotation)

    def prior_log_prob(self, z):
        """Return the log-density of the prior; z and the result as in `log_prob`."""
        zeros = ops.zeros_like(self._relative_mean)
        return self._log_prob(z, zeros, zeros, None)

    def kl_divergence(self):
        """Return the rate |psi|^2, (...), in nats, in float32 or wider.

        It is the KL divergence between posterior and prior, the two distributions of z, where
        the prior drops no dimension: no `prior_stddev` is 0, and a scale matrix has full
        column rank. Elsewhere the divergence is at most the rate: the prior drops part of what
        was paid for. Eq. 41 is a limit of divergences, not the divergence of the limit.
        """
        return rate_of(self._psi) + self._zeros

    def _mean_of(self, relative_mean):
        return on_prior(relative_mean + ops.expand_dims(self._zeros, -1), *self._prior)

    def _relative_log_stddev(self):
        return relative_log_stddev(self._psi)

    def _widened(self, x):
        return None if x is None else ops.cast(to_float_tensor(x), self._relative_mean.dtype)
