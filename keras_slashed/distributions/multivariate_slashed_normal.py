"""MultivariateSlashedNormal: a normal distribution with a full covariance."""

from keras import ops

from keras_slashed.distributions.amplitude_distribution import AmplitudeDistribution
from keras_slashed.distributions.density import axes_for_draws
from keras_slashed.distributions.density import entropy_of
from keras_slashed.distributions.density import insert_axes
from keras_slashed.distributions.density import log_density
from keras_slashed.distributions.density import standardized
from keras_slashed.distributions.scale_matrix import ScaleMatrix
from keras_slashed.distributions.scale_matrix import unrotated
from keras_slashed.ops.floats import epsilon
from keras_slashed.validation import check_batches
from keras_slashed.validation import check_matrix_shape
from keras_slashed.validation import check_vector_shape


class MultivariateSlashedNormal(AmplitudeDistribution):
    """A multivariate normal distribution with the rate `|psi|^2` relative to a prior.

    `mean = prior_mean + sqrt(2) S0 a` and
    `covariance = F F^T` with `F = S0 P diag(stdplus(sqrt(2) b))`, where `a` and `b` are the
    first and last K entries of the amplitude psi. The prior is `N(prior_mean, S0 S0^T)`. The
    support of both prior and posterior is `{prior_mean + S0 y}`.

    The scale matrix S0 may have any sign and be singular. It maps K dimensions to D dimensions,
    where D may be smaller or greater than K. If its rank is less than D, the distribution is
    degenerate: `log_prob` and `entropy` are those on its own subspace, with the pseudo-inverse
    and the pseudo-determinant of the covariance. A singular value of S0 counts as zero up to
    `max(D, K) eps` times the largest, as in `numpy.linalg.matrix_rank`. Here eps is 1.2e-7 for
    amplitudes in float32 or narrower, and 2.2e-16 for float64. The leading axes of all four
    arguments broadcast to the batch shape.

    In `log_prob` with a rank less than K, standard deviations also count as at least `exp(-40)`
    (`exp(-300)` in float64) times the largest. Gradients are finite where the rank of S0 does
    not change. The gradient with respect to S0 is the one at a fixed subspace, since no other
    exists.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        rotation: Float tensor of shape `(..., K, K)`, or None. Orthogonal matrix P, as returned
            by `keras_slashed.ops.householder_rotation`. The class does not check that it is
            orthogonal. Defaults to the identity.
        prior_mean: Float tensor or None. Prior mean, of a shape that broadcasts with
            `(..., D)`. Defaults to 0.
        prior_scale: Float tensor of shape `(..., D, K)`, or None. Scale matrix S0. Defaults to
            the identity.

    Raises:
        ValueError: If the last axis of the amplitude has an odd length, the shape of a matrix
            does not fit K, shapes do not broadcast, or a tensor is complex.

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
        super().__init__(
            amplitude,
            rotation=rotation,
            prior_mean=0.0 if prior_mean is None else prior_mean,
            prior_scale=prior_scale,
        )
        shape = self._amplitude.shape
        self._prior = self._prior_mean, None, self._prior_scale
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
        self._zeros = zeros  # of the batch shape

    @property
    def scale(self):
        """The factor `S0 P diag(stdplus(sqrt(2) b))`, (..., D, K), in float32 or wider."""
        factors = [x for x in (self._prior_scale, self._rotation) if x is not None]
        factors = factors or [ops.eye(self._size, dtype=self._relative_mean.dtype)]
        factor = factors[0] @ factors[1] if len(factors) == 2 else factors[0]
        factor = ops.expand_dims(self._relative_stddev, -2) * factor
        return factor + ops.expand_dims(ops.expand_dims(self._zeros, -1), -1)

    @property
    def covariance(self):
        """`scale scale^T`, (..., D, D), in float32 or wider."""
        scale = self.scale
        return scale @ ops.swapaxes(scale, -1, -2)

    def entropy(self):
        """Return the differential entropy on the subspace of the distribution, (...), in nats.

        It is `log det(2 pi e C) / 2`, where C is the covariance on the subspace.
        """
        log_stddev = self._relative_log_stddev()
        if self._prior_scale is None:
            rank, log_determinant = self._size, ops.sum(log_stddev, axis=-1)
        else:
            scale = ScaleMatrix(self._prior_scale)
            rank = scale.rank
            origin = ops.zeros_like(self._prior_scale[..., 0])
            parameters = ops.zeros_like(self._relative_mean), log_stddev, self._rotation
            _, log_determinant = scale.distances(origin, *parameters)
        return entropy_of(rank, log_determinant) + self._zeros

    def _log_prob(self, z, mean, log_stddev, rotation):
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
        # The tolerance includes the rounding of z and that of the computation.
        size = norm(z) + norm(prior_mean)
        spread = scale.largest * (norm(mean) + norm(ops.exp(log_stddev)))
        own = 16.0 * max(matrix.shape[-2:]) * epsilon(matrix)
        tolerance = 2.0 * rounding * size + own * (size + spread)
        is_off = (scale.rank < self._size) & (scale.off_range(residual) > tolerance)
        return ops.where(is_off, -float("inf"), density)


def norm(x):
    """Return the Euclidean norm over the last axis, which the derivative treats as a constant."""
    x = ops.stop_gradient(x)
    return ops.sqrt(ops.sum(x * x, axis=-1)) if len(x.shape) > 0 else ops.abs(x)
