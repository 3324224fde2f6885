"""AmplitudeDistribution: the base class of both distributions that amplitudes represent."""

from keras import ops

from keras_slashed.keras_faults.symbolic_operands import alike
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
    """The normal of an amplitude, `prior_mean + S0 (sqrt(2) a + P stdplus(sqrt(2) b) eps)`.

    A subclass sets `_prior`: the prior mean, the prior standard deviation and S0, where only one
    of the last two is not None. It also sets `_size`, `_batch`, `_zeros` (zeros of the batch
    shape) and, if it has a P, `_rotation`. It defines `_log_prob` and `entropy`.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        **others: Float tensors or None. The other arguments of the subclass. Each becomes an
            attribute with an underscore before its name, in the dtype of the computation.
    """

    _rotation = None

    def __init__(self, amplitude, **others):
        given = [None if x is None else to_float_tensor(x) for x in others.values()]
        self._amplitude, *given = alike(to_amplitude(amplitude), *given)
        self._psi = widen_amplitude(self._amplitude)
        self._relative_mean, self._relative_stddev = relative_normal(self._psi)
        self._others = {
            name: None if x is None else ops.cast(x, self._relative_mean.dtype)
            for name, x in zip(others, given)
        }
        for name, value in self._others.items():
            setattr(self, f"_{name}", value)

    @property
    def amplitude(self):
        """The amplitude, (..., 2K), as a float tensor."""
        return self._amplitude

    def with_amplitude(self, amplitude):
        """Return the distribution of another amplitude with the same prior and rotation."""
        return type(self)(amplitude, **self._others)

    @property
    def mean(self):
        """The posterior mean, (..., D), in the dtype of the amplitude. Without an S0, D is K."""
        return cast_in_range(self._mean_of(self._relative_mean), self._amplitude.dtype)

    def sample(self, num_samples=None, seed=None):
        """Draw from the posterior.

        In a functional model, use `keras_slashed.layers.SlashedNormalSampling` instead.

        Args:
            num_samples: Integer or None. Number S of draws.
            seed: Integer, `keras.random.SeedGenerator` or None. An integer gives the same draws in
                each call, which are independent of `keras.random.normal(shape, seed=seed)`. A
                compiled function requires a seed generator. None uses the global generator of
                Keras.

        Returns:
            A tensor of shape `(..., D)`, or `(..., S, D)` with `num_samples=S`, in the dtype of the
            amplitude. Without a scale matrix, D is K. The gradients of the tensor reach the
            amplitude, the rotation and the prior.

        Raises:
            ValueError: If `num_samples` is neither None nor a positive integer.
        """
        check_num_samples(num_samples)
        # Draw for each entry of the batch, even if only the prior has its axes.
        psi = self._psi + ops.expand_dims(self._zeros, -1)
        z = relative_sample(psi, self._rotation, num_samples, seed)
        z = on_prior(z, *self._prior, samples=num_samples is not None)
        return cast_in_range(z, self._amplitude.dtype)

    def log_prob(self, z):
        """Return the log-density of the posterior, on its own subspace if it is degenerate.

        With independent dimensions it is
        `-sum_k [((z_k - mean_k) / stddev_k)^2 / 2 + log stddev_k + log(2 pi) / 2]`.

        A z that is off the subspace by more than rounding has the log-density `-inf`, as in SciPy,
        and a gradient of 0. On the subspace the density and its gradients are finite. In divisions,
        a standard deviation counts as at least `exp(-80)` (`exp(-700)` in float64), and a distance
        as at most 2^60 standard deviations. The logarithms of the standard deviations never
        underflow.

        Args:
            z: Float tensor of shape `(..., D)`, whose leading axes broadcast with the batch. It may
                also be draws as returned by `sample`, with one axis S or several axes of draws
                after those of the batch. If both interpretations fit, z is draws. Without a scale
                matrix, D is K.

        Returns:
            A tensor of shape `(...)` in nats, in float32 or wider.

        Raises:
            ValueError: If the shape of z does not fit the distribution.
        """
        z, posterior = self._with(z)
        log_stddev = posterior._relative_log_stddev()
        return posterior._log_prob(z, posterior._relative_mean, log_stddev, posterior._rotation)

    def prior_log_prob(self, z):
        """Return the log-density of the prior. See `log_prob` for z and the result."""
        z, posterior = self._with(z)
        zeros = ops.zeros_like(posterior._relative_mean)
        return posterior._log_prob(z, zeros, zeros, None)

    def kl_divergence(self):
        """Return the rate `|psi|^2` in nats, of shape (...), in float32 or wider.

        The rate is the KL divergence between posterior and prior, the two distributions of z, if
        the prior drops no dimension: no `prior_stddev` is 0, and a scale matrix has full column
        rank. Otherwise the KL divergence is at most the rate, since the prior drops a part of it.
        Eq. 41 is a limit of divergences and not the divergence of the limit.
        """
        return rate_of(self._psi) + self._zeros

    def _mean_of(self, relative_mean):
        return on_prior(relative_mean + ops.expand_dims(self._zeros, -1), *self._prior)

    def _relative_log_stddev(self):
        return relative_log_stddev(self._psi)

    def _with(self, z):
        """Return z as a float tensor and the distribution, both symbolic if one of them is."""
        z, amplitude = alike(to_float_tensor(z), self._amplitude)
        if amplitude is self._amplitude:
            return z, self
        return z, self.with_amplitude(amplitude)
