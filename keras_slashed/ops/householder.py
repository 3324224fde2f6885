"""Orthogonal matrices as products of Householder reflections."""

import keras
from keras import ops

from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.validation import broadcast

# The gradient with respect to a vector grows as the reciprocal of its length. It is limited
# below these lengths, to stay finite in the original dtype of the vectors.
_SHORTEST = {"float64": 2.0**-900, "float16": 2.0**-10}
_SHORTEST_ELSEWHERE = 2.0**-100
# Some processors treat subnormal numbers as 0 and others do not, so all of them count as 0.
_ZERO = {"float64": 2.0**-1021}
_ZERO_ELSEWHERE = 2.0**-125


def householder_rotation(vectors):
    """Compute an orthogonal matrix as a product of Householder reflections.

    `P = H_1 H_2 ... H_R` with `H_r = I - 2 v_r v_r^T / |v_r|^2`. With R = K, the product can be
    any orthogonal matrix whose determinant is `(-1)^R`. With R = 0 it is the identity. For a
    vector of zeros the factor is the identity. The function takes R steps of K^2 operations
    each. `apply_householder` takes R steps of K operations.

    Args:
        vectors: Float tensor of shape `(..., R, K)`, with known R and K, and R at most K. Only
            the directions of the vectors matter, not their lengths.

    Returns:
        A tensor of shape `(..., K, K)` in the dtype of `vectors`, orthogonal to the rounding of
        that dtype and computed in float32 or wider. It is differentiable. The gradient with
        respect to a vector of zeros is zero. With respect to a vector shorter than 2^-100
        (2^-10 in float16) it is limited to a finite value.

    Raises:
        ValueError: If there are fewer than two axes, R or K is unknown, or R is greater than K.

    Example:

    >>> rotation = keras_slashed.ops.householder_rotation([[1.0, -1.0]])
    >>> keras.ops.convert_to_numpy(rotation).round(4).tolist()  # swaps two axes
    [[0.0, 1.0], [1.0, 0.0]]

    Reference:
        Slashed Normal, the P of Eq. 17.
    """
    vectors = to_float_tensor(vectors)
    _check_reflections_shape(vectors.shape)
    if isinstance(vectors, keras.KerasTensor):
        return HouseholderRotation()(vectors)
    return HouseholderRotation.compute(vectors)


def apply_householder(vectors, x, transpose=False):
    """Multiply a vector by a product of Householder reflections, without computing the matrix.

    The result is `P x`, or `P^T x` with `transpose=True`, where `P` is
    `householder_rotation(vectors)`. The function takes R steps of K operations.

    Args:
        vectors: Float tensor of shape `(..., R, K)`, as for `householder_rotation`.
        x: Float tensor of shape `(..., K)`. Its leading axes broadcast with those of `vectors`.
        transpose: Boolean. Whether to apply `P^T`, the inverse of `P`, instead.

    Returns:
        A tensor of shape `(..., K)` in the dtype of `x`, computed in float32 or wider.

    Raises:
        ValueError: If `vectors` is invalid as for `householder_rotation`, or the shape of `x`
            does not fit.

    Example:

    >>> x = keras_slashed.ops.apply_householder([[1.0, -1.0]], [2.0, 3.0])
    >>> keras.ops.convert_to_numpy(x).round(4).tolist()
    [3.0, 2.0]

    Reference:
        Slashed Normal, the P of Eq. 17 and 22.
    """
    vectors, x = to_float_tensor(vectors), to_float_tensor(x)
    _check_reflections_shape(vectors.shape)
    _check_reflected_shape(x.shape, vectors.shape)
    if isinstance(vectors, keras.KerasTensor) or isinstance(x, keras.KerasTensor):
        return ApplyHouseholder(transpose)(vectors, x)
    return ApplyHouseholder.compute(vectors, x, transpose)


@keras.saving.register_keras_serializable(package="keras_slashed")
class HouseholderRotation(keras.Operation):
    """The function `householder_rotation` as an operation of a functional model."""

    def call(self, vectors):
        return self.compute(vectors)

    @staticmethod
    def compute(vectors):
        dtype = vectors.dtype
        wide = at_least_float32(vectors)
        # Applying P^T to the rows of the identity gives the rows of P.
        identity = ops.eye(vectors.shape[-1], dtype=wide.dtype)
        rotation = _reflect(ops.expand_dims(wide, -3), identity, dtype, transpose=True)
        return ops.cast(rotation, dtype)

    def compute_output_spec(self, vectors):
        size = vectors.shape[-1]
        return keras.KerasTensor((*vectors.shape[:-2], size, size), dtype=vectors.dtype)


@keras.saving.register_keras_serializable(package="keras_slashed")
class ApplyHouseholder(keras.Operation):
    """The function `apply_householder` as an operation of a functional model."""

    def __init__(self, transpose=False, *, name=None):
        super().__init__(name=name)
        self.transpose = transpose

    def call(self, vectors, x):
        return self.compute(vectors, x, self.transpose)

    @staticmethod
    def compute(vectors, x, transpose):
        wide = at_least_float32(x)
        if keras.backend.standardize_dtype(vectors.dtype) == "float64":
            wide = ops.cast(wide, "float64")
        reflected = _reflect(ops.cast(vectors, wide.dtype), wide, vectors.dtype, transpose)
        return ops.cast(reflected, x.dtype)

    def compute_output_spec(self, vectors, x):
        shape = _check_reflected_shape(x.shape, vectors.shape)
        return keras.KerasTensor((*shape, x.shape[-1]), dtype=x.dtype)


def _reflect(vectors, x, dtype, transpose):
    """Apply the reflections in `vectors`, whose original dtype is `dtype`, to x (..., K).

    It uses products and sums instead of matrix products, which some accelerators round to
    ten bits.
    """
    count = vectors.shape[-2]
    if count == 0:  # only broadcast to the leading axes of the vectors
        return x + ops.expand_dims(ops.sum(vectors, axis=(-2, -1)), -1)
    vectors = _rescaled(vectors, dtype)
    squares = ops.sum(vectors * vectors, axis=-1, keepdims=True)
    doubled = 2.0 * vectors / ops.where(squares > 0.0, squares, 1.0)
    for index in range(count) if transpose else reversed(range(count)):
        inner = ops.sum(x * vectors[..., index, :], axis=-1, keepdims=True)
        x = x - inner * doubled[..., index, :]
    return x


def _rescaled(vectors, dtype):
    """Scale each vector so that its largest entry is 1 and its square is in range.

    The derivative treats the scale as a constant, since a reflection does not depend on it.
    """
    wide = keras.backend.standardize_dtype(vectors.dtype)
    dtype = keras.backend.standardize_dtype(dtype)
    fixed = ops.stop_gradient(vectors)
    largest = ops.max(ops.abs(fixed), axis=-1, keepdims=True)
    is_zero = largest < _ZERO.get(wide, _ZERO_ELSEWHERE)
    scaled = ops.where(is_zero, 0.0, fixed / ops.where(is_zero, 1.0, largest))
    shortest = _SHORTEST.get(dtype, _SHORTEST_ELSEWHERE)
    # The last summand is zero, with the slope of `vectors / largest`. The threshold is a
    # tensor, since `ops.where` on torch would round such a small number to 0 in float32.
    length = ops.where(largest < shortest, ops.ones_like(largest) * shortest, largest)
    return scaled + (vectors - fixed) / length


def _check_reflections_shape(shape):
    """Raise a ValueError unless a shape is `(..., R, K)` with known R <= K."""
    if len(shape) < 2 or shape[-2] is None or not shape[-1] or shape[-2] > shape[-1]:
        raise ValueError(
            "Argument `vectors` must have the shape (..., R, K): R vectors of K entries, one for "
            "each reflection, with both numbers known and R at most K. "
            f"Received: vectors.shape={tuple(shape)}"
        )


def _check_reflected_shape(shape, vectors_shape):
    """Return the leading axes of reflected vectors. Raise a ValueError if they do not fit."""
    batch = None
    if len(shape) > 0 and shape[-1] == vectors_shape[-1]:
        batch = broadcast(tuple(shape[:-1]), tuple(vectors_shape[:-2]))
    if batch is None:
        raise ValueError(
            f"Argument `x` must have the shape (..., {vectors_shape[-1]}), with leading axes that "
            f"broadcast with those of `vectors`. Received: x.shape={tuple(shape)}, "
            f"vectors.shape={tuple(vectors_shape)}"
        )
    return batch
