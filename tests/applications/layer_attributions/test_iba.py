"""IBA against its definition, in NumPy and float64."""

import keras
import numpy as np
import pytest
from scipy import ndimage
from scipy import special

from applications.layer_attributions.iba import IBA
from applications.layer_attributions.iba import information
from tests.support import to_numpy

rng = np.random.default_rng(0)
SHAPE = (2, 3, 4, 2)  # images, height, width, channels
FEATURES = rng.normal(1.0, 2.0, SHAPE)
ALPHA = rng.normal(0.0, 2.0, SHAPE)
MEAN, STDDEV = np.array([0.5, 1.5]), np.array([1.0, 2.5])
Y = np.array([2, 0])
WEIGHTS = rng.normal(0.0, 0.3, (24, 3))
DRAWS = rng.normal(size=(2, 5, *SHAPE[1:]))
STATISTICS = MEAN.astype("float32"), STDDEV.astype("float32")


def single(x):
    return x.astype("float32")


def lambdas(alpha, smoothing):
    """Return lambda, whose Gaussian weights add up to 1 within the map."""
    share = special.expit(alpha)
    if not smoothing:
        return share

    def blurred(x):
        sigma = 0, smoothing, smoothing, 0
        return ndimage.gaussian_filter(x, sigma, mode="constant", truncate=10)

    return blurred(share) / blurred(np.ones_like(share))


def divergence(alpha, smoothing):
    """KL of two normal distributions, from their means and standard deviations."""
    share = lambdas(alpha, smoothing)
    mean, stddev = share * FEATURES + (1 - share) * MEAN, (1 - share) * STDDEV
    ratio = stddev / STDDEV
    return -np.log(ratio) + (ratio**2 + ((mean - MEAN) / STDDEV) ** 2 - 1) / 2


def objective(alpha, smoothing, beta):
    share = lambdas(alpha, smoothing)[:, None]
    z = share * FEATURES[:, None] + (1 - share) * (MEAN + STDDEV * DRAWS)
    logits = z.reshape(2, 5, 24) @ WEIGHTS
    losses = special.logsumexp(logits, axis=-1) - logits[np.arange(2), :, Y]
    return losses.mean(axis=1) + beta * divergence(alpha, smoothing).mean(axis=(1, 2, 3))


def linear_tail(weights=WEIGHTS):
    tail = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    tail.set_weights([weights])
    return tail


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_information(smoothing):
    found = information(single(ALPHA), single(FEATURES), *STATISTICS, smoothing)
    expected = divergence(ALPHA, smoothing)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("alpha", [-80.0, 80.0])
def test_information_at_the_ends(alpha):
    """Neither does 1 - lambda vanish in float32, nor does the KL become negative."""
    found = information(np.full(SHAPE, alpha, "float32"), single(FEATURES), *STATISTICS, 1.0)
    expected = ((FEATURES - MEAN) / STDDEV) ** 2 / 2 - 0.5 + 80.0 if alpha > 0 else np.zeros(SHAPE)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_objective_and_its_gradient(smoothing):
    bottleneck = IBA(linear_tail(), beta=3.0, num_samples=5, smoothing=smoothing)
    arrays = single(ALPHA), single(FEATURES), Y.astype("int32"), *STATISTICS, single(DRAWS)
    tensors = map(keras.ops.convert_to_tensor, arrays)
    found = to_numpy(bottleneck.objective(*tensors))
    np.testing.assert_allclose(found, objective(ALPHA, smoothing, 3.0), rtol=1e-4)
    gradient = bottleneck.gradient(*arrays)
    for place in np.ndindex(SHAPE):
        step = np.zeros(SHAPE)
        step[place] = 1e-4
        ends = (objective(ALPHA + sign * step, smoothing, 3.0)[place[0]] for sign in (1, -1))
        np.testing.assert_allclose(gradient[place], np.subtract(*ends) / 2e-4, atol=1e-4)


def test_draws():
    draws = IBA(linear_tail(), num_samples=7).draws(FEATURES, np.random.default_rng(0))
    assert draws.shape == (2, 7, 3, 4, 2)


def test_what_the_tail_does_not_use_has_fewer_nats():
    """The loss depends on one element, in which the image is far from the mean."""
    weights = np.zeros((3, 4, 2, 3))
    weights[1, 2, 0] = -3.0, 0.0, 3.0
    features = np.zeros((7, *SHAPE[1:]))
    features[:, 1, 2, 0] = 2.0
    bottleneck = IBA(linear_tail(weights.reshape(24, 3)), beta=1.0, steps=20, smoothing=0.0)
    nats = bottleneck(
        single(features), np.full(7, 2, "int32"), np.zeros(2, "float32"), np.ones(2, "float32"), 0
    )
    assert nats.shape == features.shape
    assert np.all(nats > -1e-5)
    for own in nats:
        used = own[1, 2, 0]
        own[1, 2, 0] = 0.0
        assert used > 10 * own.max()
