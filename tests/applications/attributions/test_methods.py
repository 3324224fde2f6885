"""The methods that are compared, against what is known of them, and how they are judged."""

import keras
import numpy as np
import pytest
from scipy import special

from applications.attributions import evaluation
from applications.attributions import methods
from applications.attributions.evaluation import randomize
from applications.attributions.evaluation import rank_correlations

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 3, 3)).astype("float32")
Y = np.array([0, 1, 1, 0], "int32")
HIDDEN = rng.normal(size=(9, 6)).astype("float32")
OUTPUT = rng.normal(size=(6, 2)).astype("float32")


def make_model(hidden=HIDDEN, output=OUTPUT):
    model = keras.Sequential(
        [
            keras.Input((3, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="tanh", use_bias=False),
            keras.layers.Dense(2, use_bias=False),
        ]
    )
    model.layers[-2].set_weights([hidden])
    model.layers[-1].set_weights([output])
    return model


def gradients_of_model():
    return methods.logit_gradients(make_model())


def logits(x):
    return np.tanh(x.reshape(len(x), 9) @ HIDDEN) @ OUTPUT


def logit_gradients(x, y):
    hidden = np.tanh(x.reshape(len(x), 9) @ HIDDEN)
    return ((OUTPUT.T[y] * (1 - hidden**2)) @ HIDDEN.T).reshape(x.shape)


def test_gradient():
    maps, direction = methods.gradient(gradients_of_model(), X, Y)
    expected = logit_gradients(X, Y)
    np.testing.assert_allclose(direction, expected, atol=1e-5)
    np.testing.assert_allclose(maps, np.abs(expected), atol=1e-5)


def test_smoothgrad():
    """Its mean over many draws, to four standard errors."""
    _, direction = methods.smoothgrad(gradients_of_model(), X, Y, 0.5, 2000, seed=0)
    noise = np.random.default_rng(1).normal(size=(4000, *X.shape)) * 0.5
    gradients = np.stack([logit_gradients(X + eps, Y) for eps in noise])
    error = gradients.std(axis=0) * np.sqrt(1 / 2000 + 1 / 4000)
    assert np.all(np.abs(direction / 2000 - gradients.mean(axis=0)) < 4 * error)


def test_integrated_gradients_are_complete():
    baseline = np.full((3, 3), 0.1, "float32")
    maps, _ = methods.integrated_gradients(gradients_of_model(), X, Y, baseline, steps=200)
    rows = np.arange(4)
    change = logits(X)[rows, Y] - logits(np.broadcast_to(baseline, X.shape))[rows, Y]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), change, atol=2e-3)


def test_margin_loss():
    scores = rng.normal(size=(5, 4)).astype("float32")
    y = np.array([0, 3, 2, 1, 0])
    others = np.array([np.delete(row, own) for row, own in zip(scores, y)])
    expected = special.logsumexp(others, axis=-1) - scores[np.arange(5), y]
    loss = methods.margin_loss(keras.ops.convert_to_tensor(y, "int32"), scores)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), expected, atol=1e-5)


def test_every_method_has_a_map_and_a_direction():
    found = methods.methods(make_model(), np.zeros((3, 3), "float32"), 0.5, 0.5, 2, 4, seed=0)
    assert len(found) == 8
    for function, gradients in found.values():
        maps, direction = function(X, Y)
        assert maps.shape == direction.shape == X.shape
        assert np.all(np.isfinite(maps))
        assert gradients >= 0


def test_amplitude_points_towards_the_class():
    found = methods.methods(make_model(), None, 0.5, 0.5, 5, 8, seed=0)
    function, _ = found["amplitude"]
    _, direction = function(X, Y)
    gradients = logit_gradients(X, Y) - logit_gradients(X, 1 - Y)
    agreement = (direction * gradients).sum(axis=(1, 2))
    norms = np.linalg.norm(direction, axis=(1, 2)) * np.linalg.norm(gradients, axis=(1, 2))
    assert np.all(agreement > 0.3 * norms)


def sigmoid_model(image):
    """Return a model whose second class has the logit sum(weights * image) over the first."""
    weights = np.zeros((9, 2), "float32")
    weights[:, 1] = image.ravel()
    model = keras.Sequential([keras.Input((3, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.set_weights([weights, np.zeros(2, "float32")])
    return model


def test_curves_of_a_linear_model():
    """Pixel by pixel: each takes its weight away, or brings it."""
    weights = np.arange(9, dtype="float32").reshape(3, 3) / 9
    images = np.ones((1, 3, 3), "float32")
    y = np.array([1])
    arguments = sigmoid_model(weights), images, y, weights[None]
    deleted = evaluation.deletion_curve(*arguments, 0.0, steps=9)
    inserted = evaluation.insertion_curve(*arguments, 0.0, steps=9)
    taken = np.concatenate([[0], np.cumsum(np.sort(weights.ravel())[::-1])])
    np.testing.assert_allclose(deleted[0], special.expit(4 - taken), atol=1e-5)
    np.testing.assert_allclose(inserted[0], special.expit(taken), atol=1e-5)
    expected = np.trapezoid(special.expit(4 - taken), dx=1 / 9)
    np.testing.assert_allclose(evaluation.area(deleted), expected, atol=1e-5)
    worse = evaluation.deletion_curve(*arguments[:3], -weights[None], 0.0, steps=9)
    assert evaluation.area(worse) > evaluation.area(deleted)


def test_channels_are_deleted_together():
    images = np.ones((1, 2, 2, 3), "float32")
    maps = np.zeros((1, 2, 2, 3))
    maps[0, 1, 0] = 0.2, 0.2, 0.2
    maps[0, 0, 0, 1] = 0.5
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)]
    )
    weights = np.zeros((12, 2), "float32")
    weights[6:9, 1] = 1.0  # the three channels of the pixel (1, 0)
    model.set_weights([weights])
    curve = evaluation.deletion_curve(model, images, np.array([1]), maps, 0.0, steps=4)
    np.testing.assert_allclose(curve[0], special.expit([3, 0, 0, 0, 0]), atol=1e-5)


def test_ranks():
    maps = np.array([[[3.0, 1.0], [2.0, 9.0]]])
    np.testing.assert_array_equal(evaluation.ranks(maps), [[[1, 3], [2, 0]]])


@pytest.mark.parametrize("shape", [(1, 9, 9), (1, 9, 9, 3)])
def test_blur_stays_within_the_image(shape):
    image = np.zeros(shape)
    image[0, 4, 4] = 1.0
    blurred = evaluation.blurred(image, 1.0)
    center = blurred[0, 4, 4]
    # Of the Gaussian exp(-d^2 / 2), cut off beyond four deviations.
    expected = np.exp(-0.5) * center
    np.testing.assert_allclose(blurred[0, 4, 5], expected)
    np.testing.assert_allclose(blurred[0, 3, 4], expected)


def test_randomized_layers():
    model, fresh = make_model(), make_model(-HIDDEN, 2 * OUTPUT)
    randomize(model, fresh, layers=1)
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], 2 * OUTPUT)
    np.testing.assert_array_equal(model.layers[-2].get_weights()[0], HIDDEN)
    randomize(model, fresh)
    np.testing.assert_array_equal(model.layers[-2].get_weights()[0], -HIDDEN)


def test_rank_correlations():
    maps = np.array([[1.0, 2.0, -3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    others = np.array([[1.0, -20.0, 30.0], [3.0, 2.0, 1.0], [2.0, 2.0, -2.0]])
    found = rank_correlations(maps, others)
    np.testing.assert_allclose(found, [1.0, -1.0, 0.0])
