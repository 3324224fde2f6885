"""MultivariateSlashedNormal: a normal of full covariance, given by an amplitude and a prior."""

from keras import ops

from keras_slashed.distributions.density import axes_for_draws
from keras_slashed.distributions.density import entropy_of
from keras_slashed.distributions.density import insert_axes
from keras_slashed.distributions.density import log_density
from keras_slashed.distributions.density import standardized
from keras_slashed.distributions.scale_matrix import ScaleMatrix
from keras_slashed.distributions.scale_matrix import unrotated
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
from keras_slashed.validation import check_matrix_shape
from keras_slashed.validation import check_num_samples
from keras_slashed.validation import check_vector_shape


class MultivariateSlashedNormal:
    """A multivariate normal that carries a rate of |psi|^2 relative to a prior.

    `mean = prior_mean + sqrt(2) S0 a` and
    `covariance = F F^T` with `F = S0 P diag(stdplus(sqrt(2) b))`, where `a` and `b`
    are the first and the last K entries of the amplitude psi. The prior is
    `N(prior_mean, S0 S0^T)`, on `{prior_mean + S0 y}`, and so is the posterior.

    S0 may have any sign, be singular, and map K dimensions to D of them, more or
    fewer. Where its rank is less than D, the distribution is degenerate: `log_prob`
    and `entropy` are those on its own subspace, of the pseudo-inverse and the
    pseudo-determinant of the covariance. A singular value of S0 counts as zero up
    to `max(D, K) eps` times the largest, as in `numpy.linalg.matrix_rank`; eps is
    1.2e-7 for float32 and narrower amplitudes, 2.2e-16 for float64. The leading axes
    of all four arguments broadcast to the batch's shape.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        rotation: The orthogonal P, of shape `(..., K, K)`, as
            `keras_slashed.ops.householder_rotation` makes it; the identity by
            default. Whether it is orthogonal is not checked.
        prior_mean: Prior mean, of a shape that broadcasts with `(..., D)`. 0 by
            default.
        prior_scale: The scale matrix S0, of shape `(..., D, K)`. The identity by
            default.

    Raises:
        ValueError: The amplitude's last axis is not even, a matrix does not fit K,
            or shapes do not broadcast.

    Example:

    >>> posterior = keras_slashed.distributions.MultivariateSlashedNormal(
    ...     [0.6, 0.0, 0.0, -0.8], prior_scale=[[2.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    ... )
    >>> tuple(posterior.mean.shape), tuple(posterior.covariance.shape)
    ((3,), (3, 3))
    >>> float(posterior.kl_divergence())
    1.0
    >>> tuple(posterior.log_prob(posterior.sample(5, seed=0)).shape)
    (5,)

    Reference:
        Slashed Normal, Eq. 17, 18 and 41, appendix B.
    """

    def __init__(self, amplitude, rotation=None, prior_mean=None, prior_scale=None):
        self._amplitude = to_amplitude(amplitude)
        shape = self._amplitude.shape
        self._relative_mean, self._relative_stddev = relative_normal(self._amplitude)
        self._rotation = self._widened(rotation)
        self._prior_mean = self._widened(0.0 if prior_mean is None else prior_mean)
        self._prior_scale = self._widened(prior_scale)
        self._size = shape[-1] // 2
        leading = {"amplitude": shape[:-1], "prior_mean": self._prior_mean.shape[:-1]}
        if rotation is not None:
            check_matrix_shape("rotation", self._rotation.shape, shape, True, any_batch=True)
            leading["rotation"] = self._rotation.shape[:-2]
        if prior_scale is not None:
            check_matrix_shape("prior_scale", self._prior_scale.shape, shape, any_batch=True)
            leading["prior_scale"] = self._prior_scale.shape[:-2]
            self._size = self._prior_scale.shape[-2]
        check_vector_shape("prior_mean", self._prior_mean.shape, self._size)
        self._batch = check_batches(**leading)
        zeros = ops.zeros_like(self._relative_mean[..., 0])
        for matrix in (self._rotation, self._prior_scale):
            if matrix is not None:
                zeros = zeros + ops.zeros_like(matrix[..., 0, 0])
        if len(self._prior_mean.shape) > 1:
            zeros = zeros + ops.zeros_like(self._prior_mean[..., 0])
        self._zeros = zeros  # of the batch's shape

    @property
    def mean(self):
        """The posterior mean, (..., D), in the amplitude's dtype."""
        mean = self._relative_mean + ops.expand_dims(self._zeros, -1)
        mean = on_prior(mean, self._prior_mean, prior_scale=self._prior_scale)
        return cast_in_range(mean, self._amplitude.dtype)

    @property
    def scale(self):
        """The factor `S0 P diag(stdplus(sqrt(2) b))`, (..., D, K), in float32 or wider."""
        factors = [x for x in (self._prior_scale, self._rotation) if x is not None]
        factors = factors or [ops.eye(self._size, dtype=self._relative_mean.dtype)]
        factor = factors[0] @ factors[1] if len(factors) == 2 else factors[0]
        factor = factor * ops.expand_dims(self._relative_stddev, -2)
        return factor + ops.expand_dims(ops.expand_dims(self._zeros, -1), -1)

    @property
    def covariance(self):
        """`scale scale^T`, (..., D, D), in float32 or wider."""
        scale = self.scale
        return scale @ ops.swapaxes(scale, -1, -2)

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
            A tensor of shape `(..., D)`, or `(..., S, D)`, in the amplitude's
            dtype. Its gradients reach the amplitude, the rotation and the prior.
        """
        check_num_samples(num_samples)
        # A draw for each of the batch, also where only the prior has its axes.
        zeros = ops.cast(ops.expand_dims(self._zeros, -1), self._amplitude.dtype)
        z = relative_sample(self._amplitude + zeros, self._rotation, num_samples, seed)
        samples = num_samples is not None
        z = on_prior(z, self._prior_mean, prior_scale=self._prior_scale, samples=samples)
        return cast_in_range(z, self._amplitude.dtype)

    def log_prob(self, z):
        """Return the log-density of the posterior, on its own subspace if degenerate.

        A z off the subspace by more than rounding has the density `-inf`, as SciPy
        has it, and a gradient of 0. On it the density and its gradients are finite
        where the rank of S0 does not change: where it divides, a deviation counts as
        at least `exp(-80)` (in float64 `exp(-700)`), and a distance as at most 2^60
        deviations. With a rank less than K deviations also count as at least
        `exp(-40)` (`exp(-300)`) times the largest. The gradient by S0 is the one
        along which the subspace stays: there is no other.

        Args:
            z: Float tensor of shape `(..., D)`, its leading axes broadcasting with
                the batch; or draws as `sample` returns them, with their axis S (or
                several) after those of the batch. Where both fit, it is draws.

        Returns:
            A tensor of shape `(...)` in float32 or wider.
        """
        log_stddev = relative_log_stddev(self._amplitude)
        return self._log_prob(z, self._relative_mean, log_stddev, self._rotation)

    def prior_log_prob(self, z):
        """Return the log-density of the prior; z and the result as in `log_prob`."""
        zeros = ops.zeros_like(self._relative_mean)
        return self._log_prob(z, zeros, zeros, None)

    def entropy(self):
        """Return the differential entropy on the own subspace, (...), in nats."""
        log_stddev = relative_log_stddev(self._amplitude)
        if self._prior_scale is None:
            rank, log_determinant = self._size, ops.sum(log_stddev, axis=-1)
        else:
            scale = ScaleMatrix(self._prior_scale)
            rank = scale.rank
            origin = ops.zeros_like(self._prior_scale[..., 0])
            parameters = ops.zeros_like(self._relative_mean), log_stddev, self._rotation
            _, log_determinant = scale.distances(origin, *parameters)
        return entropy_of(rank, log_determinant) + self._zeros

    def kl_divergence(self):
        """Return the rate |psi|^2, (...), in nats, in float32 or wider.

        With S0 of full column rank it is the KL divergence between posterior and
        prior, the two distributions of z. With a rank-deficient S0 that divergence
        is at most the rate: S0 drops part of what was paid for. Eq. 41 is a limit of
        divergences, not the divergence of the limit.
        """
        return rate(self._amplitude) + self._zeros

    def _widened(self, x):
        return None if x is None else ops.cast(to_float_tensor(x), self._relative_mean.dtype)

    def _log_prob(self, z, mean, log_stddev, rotation):
        z = to_float_tensor(z)
        count = axes_for_draws(tuple(z.shape), self._batch, self._size)
        rounding = epsilon(z, self._amplitude)
        z = ops.cast(z, mean.dtype)
        prior_mean, mean, log_stddev, zeros = (
            insert_axes(x, count)
            for x in (self._prior_mean, mean, log_stddev, self._zeros[..., None])
        )
        rotation, matrix = (insert_axes(x, count, 2) for x in (rotation, self._prior_scale))
        residual = z - prior_mean + zeros
        if matrix is None:
            distances = standardized(unrotated(residual - mean, rotation), log_stddev)
            return log_density(distances, self._size, ops.sum(log_stddev, axis=-1))
        scale = ScaleMatrix(matrix)
        distances, log_determinant = scale.distances(residual, mean, log_stddev, rotation)
        density = log_density(distances, scale.rank, log_determinant)
        # Rounding of z itself, and of the computation.
        size = norm(z) + norm(prior_mean)
        spread = scale.largest * (norm(mean) + norm(ops.exp(log_stddev)))
        own = 16.0 * max(matrix.shape[-2:]) * epsilon(matrix)
        tolerance = 2.0 * rounding * size + own * (size + spread)
        is_off = (scale.rank < self._size) & (scale.off_range(residual) > tolerance)
        return ops.where(is_off, -float("inf"), density)


def norm(x):
    """Return the Euclidean norm over the last axis, of a constant to the derivative."""
    x = ops.stop_gradient(x)
    return ops.sqrt(ops.sum(x * x, axis=-1)) if len(x.shape) > 0 else ops.abs(x)
