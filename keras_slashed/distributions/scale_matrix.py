"""A scale matrix S0, possibly singular or not square: its range, and densities on the range."""

import keras
from keras import ops

from keras_slashed.distributions.density import standardized
from keras_slashed.ops.floats import epsilon

# If S0 is rank-deficient, a standard deviation counts as at least exp of minus this times the
# largest, so that the squares of their quotients stay in range.
_LARGEST_LOG_RATIO = {"float64": 300.0}
_LARGEST_LOG_RATIO_ELSEWHERE = 40.0


class ScaleMatrix:
    """A matrix S0 (..., D, K), applied to the K-dimensional normal `y = m + P diag(s) eps`.

    The density of `S0 y` on the range of S0 is computed in one of two ways. If S0 has full
    column rank, a QR decomposition of S0 gives y from `S0 y`, and the density is that of y. This
    way squares nothing and adds the logarithms of s as they are. Otherwise
    `B^T S0 P diag(s)`, with an orthonormal basis B of the range, has full row rank. A QR
    decomposition of its transpose then gives a triangular factor of the covariance.

    The entries of a batch may differ in rank, so that both results may be necessary. The rank
    and B come from a singular value decomposition without a derivative. The derivative of the
    density with respect to S0 is therefore the one at a fixed range, the only one that exists on
    the support.
    """

    def __init__(self, matrix):
        self.matrix = matrix
        rows, columns = matrix.shape[-2:]
        left, values, _ = ops.svd(ops.stop_gradient(matrix), full_matrices=False)
        # This is the criterion of `numpy.linalg.matrix_rank`.
        tolerance = max(rows, columns) * epsilon(matrix)
        is_kept = values > tolerance * values[..., :1]
        self.kept = ops.cast(is_kept, matrix.dtype)
        self.basis = left * ops.expand_dims(self.kept, -2)
        self.rank = ops.sum(self.kept, axis=-1)
        self.largest = values[..., 0]
        self.rows, self.columns = rows, columns
        self.has_full_column_rank = self.rank == columns

    def distances(self, residual, mean, log_stddev, rotation):
        """Return independent distances in standard deviations, (..., K), and the log-determinant.

        Args:
            residual: Float tensor. z minus the prior mean, on the range of S0.
            mean: Float tensor. The mean m of y.
            log_stddev: Float tensor. The logarithm of s.
            rotation: Float tensor or None. The matrix P.
        """
        distances, log_determinant = self._on_range(residual, mean, log_stddev, rotation)
        if self.rows < self.columns:
            return distances, log_determinant
        full = self._by_columns(residual, mean, log_stddev, rotation)
        is_full = self.has_full_column_rank
        distances = ops.where(ops.expand_dims(is_full, -1), full[0], distances)
        return distances, ops.where(is_full, full[1], log_determinant)

    def off_range(self, residual):
        """Return the distance of a residual from the range of S0."""
        nearest = multiply(self.basis, multiply_transposed(self.basis, residual))
        difference = residual - nearest
        return ops.sqrt(ops.sum(difference * difference, axis=-1))

    def _by_columns(self, residual, mean, log_stddev, rotation):
        """Return the distances of y for full column rank, otherwise any finite values."""
        is_full = ops.expand_dims(ops.expand_dims(self.has_full_column_rank, -1), -1)
        identity = ops.eye(self.rows, self.columns, dtype=self.matrix.dtype)
        orthonormal, triangular = ops.qr(ops.where(is_full, self.matrix, identity))
        y = multiply(inverse_of(triangular), multiply_transposed(orthonormal, residual))
        log_determinant = log_diagonal(triangular) + ops.sum(log_stddev, axis=-1)
        return standardized(unrotated(y - mean, rotation), log_stddev), log_determinant

    def _on_range(self, residual, mean, log_stddev, rotation):
        """Return distances in an orthonormal basis of the range, for rank-deficient or wide S0."""
        projection = ops.swapaxes(self.basis, -1, -2) @ self.matrix
        coordinates = multiply_transposed(self.basis, residual) - multiply(projection, mean)
        factor = projection if rotation is None else projection @ rotation
        dtype = keras.backend.standardize_dtype(factor.dtype)
        bound = _LARGEST_LOG_RATIO.get(dtype, _LARGEST_LOG_RATIO_ELSEWHERE)
        largest = ops.max(log_stddev, axis=-1, keepdims=True)
        ratio = ops.clip(log_stddev - largest, -bound, 0.0)
        factor = factor * ops.expand_dims(ops.exp(ratio), -2)
        # With rows from large to small, QR keeps the digits of the small ones.
        order = ops.argsort(-(ratio + ops.zeros_like(factor[..., 0, :])), axis=-1)
        order = ops.expand_dims(order, -2) + ops.zeros_like(factor, dtype="int32")
        factor = ops.swapaxes(ops.take_along_axis(factor, order, axis=-1), -1, -2)
        # Dropped columns are 0. An identity below them gives a pivot to each of them.
        dropped = (1.0 - self.kept) + ops.zeros_like(factor[..., 0, :])
        padding = ops.expand_dims(dropped, -1) * ops.eye(dropped.shape[-1], dtype=dtype)
        stacked = ops.concatenate([factor, padding], axis=-2)
        if self.rows >= self.columns:
            # Replace matrices of full column rank, whose results come from `_by_columns`, so
            # that their derivatives are not computed twice.
            is_full = ops.expand_dims(ops.expand_dims(self.has_full_column_rank, -1), -1)
            stacked = ops.where(is_full, ops.eye(*stacked.shape[-2:], dtype=dtype), stacked)
        _, triangular = ops.qr(stacked)
        distances = multiply_transposed(inverse_of(triangular), coordinates)
        log_determinant = log_diagonal(triangular) + self.rank * largest[..., 0]
        return standardized(distances, largest), log_determinant


def multiply(matrix, x):
    """Multiply (..., D, K) by (..., K).

    It uses products and sums, since matrix products of float32 have ten bits on some
    accelerators, and `ops.matmul` converts float64 to float32 on torch.
    """
    return ops.sum(matrix * ops.expand_dims(x, -2), axis=-1)


def multiply_transposed(matrix, x):
    """Multiply the transpose of (..., D, K) by (..., D)."""
    return ops.sum(matrix * ops.expand_dims(x, -1), axis=-2)


def unrotated(x, rotation):
    """Return `P^T x`."""
    return x if rotation is None else multiply_transposed(rotation, x)


def inverse_of(triangular):
    """Return the inverse of an upper triangular matrix."""
    identity = ops.eye(triangular.shape[-1], dtype=triangular.dtype)
    # The order matters, since a JAX array on the left would treat a KerasTensor as an array.
    return ops.solve_triangular(triangular, ops.zeros_like(triangular) + identity)


def log_diagonal(triangular):
    """Return `log |det|` of a triangular matrix."""
    # Keras 3.12 cannot infer the shape of `ops.diagonal` if the batch size is unknown.
    diagonal = ops.sum(triangular * ops.eye(triangular.shape[-1], dtype=triangular.dtype), axis=-1)
    return ops.sum(ops.log(ops.abs(diagonal)), axis=-1)
