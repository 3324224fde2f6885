import itertools
import math

import keras
import numpy as np
import pytest

from applications.models import mlp
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from tests.support import to_numpy


def test_the_paper_s_network():
    model = mlp.build(rate=math.log(10))
    widths = (784, 1024, 1024, 512)
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths)) + (256 + 1) * 10
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == weights
    assert isinstance(model.get_layer("bottleneck"), FixedRateVIB)
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    assert "bottleneck (FixedRateVIB)" in "".join(lines)


@pytest.mark.parametrize("bottleneck", ["none", "dropout"])
def test_without_a_vib_the_features_are_rectified(bottleneck):
    model = mlp.build(bottleneck=bottleneck)
    widths = (784, 1024, 1024, 512, 10)
    assert model.count_params() - sum((a + 1) * b for a, b in itertools.pairwise(widths)) == 0
    features = keras.Model(model.input, model.get_layer("features").output)
    assert to_numpy(features(np.random.default_rng(0).normal(size=(20, 28, 28)))).min() == 0
    assert ("dropout" in [layer.name for layer in model.layers]) == (bottleneck == "dropout")


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_averaged_draws_are_log_mean_probabilities_or_mean_logits(average):
    options = dict(input_shape=(5,), num_classes=3, hidden_units=(8,), bottleneck_units=8)
    vib = dict(rate=3.0, inference="sample", seed=4)
    averaging = mlp.build(**options, **vib, num_samples=6, average=average)
    x = np.random.default_rng(1).normal(size=(7, 5)).astype("float32")
    # The logits of each draw, from the same model one layer earlier: a second
    # call draws again, so both are read in one.
    both = keras.Model(averaging.input, [averaging.get_layer("logits").output, averaging.output])
    draws, averaged = (to_numpy(t) for t in both(x))
    assert draws.shape == (7, 6, 3)
    assert np.ptp(draws, axis=1).min() > 0
    if average == "logits":
        np.testing.assert_allclose(averaged, draws.mean(axis=1), rtol=1e-5, atol=1e-6)
        return
    shifted = np.exp(draws - draws.max(-1, keepdims=True))
    probabilities = (shifted / shifted.sum(-1, keepdims=True)).mean(1)
    result = np.exp(averaged) / np.exp(averaged).sum(-1, keepdims=True)
    np.testing.assert_allclose(result, probabilities, rtol=1e-5)


def test_beta_vib():
    model = mlp.build(bottleneck="beta_vib", kl_weight=0.1, num_samples=2)
    layer = model.get_layer("bottleneck")
    assert isinstance(layer, SlashedNormalSampling)
    assert float(layer.kl_weight.value) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(bottleneck="ib"), "'ib'"),
        (dict(bottleneck="none", rate=1.0), "require bottleneck"),
        (dict(bottleneck="dropout", num_samples=12), "num_samples=12"),
        (dict(bottleneck="vib", rate=1.0, bottleneck_units=511), "511"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        mlp.build(**options)


def test_relu_amplitude():
    model = mlp.build(rate=1.0, relu_amplitude=True)
    assert model.get_layer("amplitude").activation is keras.activations.relu
    assert mlp.build(rate=1.0).get_layer("amplitude").activation is keras.activations.linear


def test_dropout_follows_every_hidden_layer():
    layers = mlp.build(bottleneck="dropout").layers
    assert [(layers[i - 1].name, layer.rate) for i, layer in enumerate(layers)
            if isinstance(layer, keras.layers.Dropout)] == [
        ("hidden_1", 0.2), ("hidden_2", 0.2), ("features", 0.2)
    ]  # fmt: skip
