"""Householder rotations, against reflections multiplied in NumPy."""

import keras
import numpy as np
import pytest

from keras_slashed.ops import apply_householder
from keras_slashed.ops import householder_rotation
from tests.support import FLOAT_DTYPES
from tests.support import at_once
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


def reflections(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def product_of_reflections(vectors):
    """P = H_1 H_2 ... H_R in float64, for vectors (R, K)."""
    rotation = np.eye(vectors.shape[-1])
    for v in np.float64(vectors):
        if v.any():
            v = v / np.abs(v).max()
            rotation = rotation @ (np.eye(v.size) - 2.0 * np.outer(v, v) / (v @ v))
    return rotation


def rotation_and_slope(function, vectors):
    """Return the rotation of vectors, and the gradient of a function's sum, as NumPy arrays."""
    both = at_once(lambda v: (householder_rotation(v), gradient(function, v)))(vectors)
    return map(to_numpy, both)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_rotation(count, dtype):
    vectors = tensor(reflections(count, 5), dtype)
    rotation = at_once(householder_rotation)(vectors)
    assert keras.backend.standardize_dtype(rotation.dtype) == dtype
    expected = product_of_reflections(to_numpy(vectors))
    np.testing.assert_allclose(to_numpy(rotation), expected, atol=8 * EPSILON[dtype], rtol=0)


def test_a_rotation_is_orthogonal_to_rounding(dtype):
    """32 reflections of 32 dimensions: what is left of P P^T - I is rounding."""
    rotation = to_numpy(at_once(householder_rotation)(tensor(reflections(32, 32), dtype)))
    rotation = rotation.astype("float64")
    deviation = np.abs(rotation @ rotation.T - np.eye(32)).max()
    assert deviation < 8 * EPSILON[dtype]
    assert np.abs(np.abs(np.linalg.det(rotation)) - 1.0) < 32 * EPSILON[dtype]


def test_no_reflection_is_the_identity():
    np.testing.assert_array_equal(to_numpy(householder_rotation(np.zeros((0, 3)))), np.eye(3))
    many = householder_rotation(np.zeros((2, 0, 3), "float32"))
    np.testing.assert_array_equal(to_numpy(many), np.broadcast_to(np.eye(3), (2, 3, 3)))
    x = np.ones((2, 1, 3), "float32")
    applied = to_numpy(apply_householder(np.zeros((4, 0, 3), "float32"), x))
    np.testing.assert_array_equal(applied, np.ones((2, 4, 3)))


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e4, 1e30])
def test_any_scale_of_the_vectors(scale, dtype):
    """A reflection depends on no length."""
    if dtype == "float16" and scale in (1e-30, 1e30):
        pytest.skip("out of the range of float16")
    values = reflections(2, 4)
    vectors = tensor(scale * values, dtype)
    expected = product_of_reflections(to_numpy(vectors))
    rotation, slope = rotation_and_slope(lambda v: householder_rotation(v)[..., 0], vectors)
    np.testing.assert_allclose(rotation, expected, atol=8 * EPSILON[dtype], rtol=0)
    assert np.isfinite(slope).all()


def test_extreme_vectors_have_finite_rotations_and_gradients(dtype):
    """The smallest and the largest numbers of each dtype, and zeros."""
    largest = {"float16": 65504.0, "float64": 1e308}.get(dtype, 3.3e38)
    smallest = {"float16": 6e-8, "float64": 1e-320}.get(dtype, 1e-40)
    values = np.array([[0.0, 0.0, 0.0], [largest, -largest, largest], [smallest, smallest, 0.0]])
    vectors = tensor(values, dtype)
    x = tensor([1, 2, 3], dtype)
    for function in (householder_rotation, lambda v: apply_householder(v, x)):
        rotation, slope = rotation_and_slope(function, vectors)
        rotation = rotation.astype("float64")
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=8 * EPSILON[dtype])
        assert np.isfinite(slope).all()


def test_a_zero_vector_reflects_nothing():
    vectors = reflections(3, 4).astype("float32")
    without = to_numpy(householder_rotation(vectors[[0, 2]]))
    vectors[1] = 0.0
    np.testing.assert_allclose(to_numpy(householder_rotation(vectors)), without, atol=1e-7)
    _, slope = rotation_and_slope(lambda v: householder_rotation(v)[0], vectors)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[1], 0.0)
    assert slope[[0, 2]].any()


def test_gradient_against_finite_differences():
    weights = np.random.default_rng(1).normal(size=(4, 4))

    def total(vectors):
        return np.sum(weights * product_of_reflections(vectors))

    vectors, step = reflections(3, 4), 1e-6
    expected = np.zeros_like(vectors)
    for index in np.ndindex(*vectors.shape):
        shift = np.zeros_like(vectors)
        shift[index] = step
        expected[index] = (total(vectors + shift) - total(vectors - shift)) / (2 * step)
    with dtype_enabled("float64"):
        weighted = tensor(weights, "float64")
        _, slope = rotation_and_slope(
            lambda v: weighted * householder_rotation(v), tensor(vectors, "float64")
        )
        np.testing.assert_allclose(slope, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("transpose", [False, True])
def test_apply_is_the_product_with_the_matrix(transpose, dtype):
    vectors, x = tensor(reflections(3, 5), dtype), tensor(reflections(4, 5, seed=1), dtype)
    rotation = product_of_reflections(to_numpy(vectors))
    applied = at_once(lambda v, x: apply_householder(v, x, transpose=transpose))(vectors, x)
    assert keras.backend.standardize_dtype(applied.dtype) == dtype
    expected = to_numpy(x).astype("float64") @ (rotation if transpose else rotation.T)
    np.testing.assert_allclose(to_numpy(applied), expected, atol=16 * EPSILON[dtype], rtol=0)


@pytest.mark.parametrize("shapes", [((2, 5), (7, 5)), ((7, 2, 5), (5,)), ((7, 1, 2, 5), (3, 5))])
def test_leading_axes_broadcast(shapes):
    vectors, x = reflections(*shapes[0]), reflections(*shapes[1], seed=1)
    full = np.broadcast_shapes(vectors.shape[:-2], x.shape[:-1])
    expected = np.stack(
        [
            product_of_reflections(v) @ one
            for v, one in zip(
                np.broadcast_to(vectors, (*full, 2, 5)).reshape(-1, 2, 5),
                np.broadcast_to(x, (*full, 5)).reshape(-1, 5),
            )
        ]
    ).reshape(*full, 5)
    vectors, x = vectors.astype("float32"), x.astype("float32")
    applied = to_numpy(at_once(apply_householder)(vectors, x))
    np.testing.assert_allclose(applied, expected, atol=2e-6)
    rotation = to_numpy(at_once(householder_rotation)(vectors))
    np.testing.assert_allclose(np.einsum("...ij,...j->...i", rotation, x), expected, atol=2e-6)


def test_compiled_equals_eager():
    vectors = tensor(reflections(2, 3, 4), "float32")
    for function in (householder_rotation, lambda v: apply_householder(v, v[:, 0])):
        actual, expected = to_numpy(compiled(function)(vectors)), to_numpy(function(vectors))
        np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_functional_model_saves(tmp_path):
    inputs, x = keras.Input((2, 4)), keras.Input((4,))
    outputs = [householder_rotation(inputs), apply_householder(inputs, x, transpose=True)]
    assert [output.shape for output in outputs] == [(None, 4, 4), (None, 4)]
    model = keras.Model([inputs, x], outputs)
    model.save(tmp_path / "model.keras")
    vectors, x = reflections(3, 2, 4).astype("float32"), reflections(3, 4).astype("float32")
    rotation, applied = keras.saving.load_model(tmp_path / "model.keras")([vectors, x])
    np.testing.assert_array_equal(to_numpy(rotation), to_numpy(householder_rotation(vectors)))
    expected = to_numpy(apply_householder(vectors, x, transpose=True))
    np.testing.assert_array_equal(to_numpy(applied), expected)


def test_symbolic_keeps_the_dtype(dtype):
    vectors = keras.KerasTensor((None, 2, 3), dtype=dtype)
    assert householder_rotation(vectors).dtype == dtype
    assert apply_householder(vectors, keras.KerasTensor((5, 1, 3), dtype=dtype)).shape == (
        5,
        None,
        3,
    )


@pytest.mark.parametrize("shape", [(3, 2), (4,), (), (2, 0)])
def test_too_many_reflections(shape):
    with pytest.raises(
        ValueError, match=r"`vectors` must have the shape \(\.\.\., R, K\)"
    ) as error:
        householder_rotation(np.zeros(shape))
    assert f"Received: vectors.shape={shape}" in str(error.value)


@pytest.mark.parametrize("shape", [(None, 3), (2, None)])
def test_unknown_number_of_reflections(shape):
    with pytest.raises(ValueError, match="both numbers known"):
        householder_rotation(keras.KerasTensor(shape))


@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (5, 3)])
def test_x_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"`x` must have the shape \(\.\.\., 3\).*Received: x"):
        apply_householder(np.ones((2, 1, 3)), np.ones(shape))


def test_an_unknown_batch_is_not_1():
    vectors, x = keras.KerasTensor((1, 2, 3)), keras.KerasTensor((None, 3))
    assert apply_householder(vectors, x).shape == (None, 3)
