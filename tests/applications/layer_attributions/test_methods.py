"""The methods at a layer, against what is known of them."""

import numpy as np
import pytest

from applications.layer_attributions import conv_net
from applications.layer_attributions.classifiers import Classifier
from applications.layer_attributions.classifiers import larger
from applications.layer_attributions.judge import check_layers
from applications.layer_attributions.methods import PIXELS
from applications.layer_attributions.methods import CutClassifier
from applications.layer_attributions.methods import methods
from applications.layer_attributions.methods import resized
from keras_slashed.attribution import amplitude_attribution
from tests.support import to_numpy

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4, 4, 1)).astype("float32")
Y = np.array([0, 1, 2, 2, 1, 0], "int32")
LAYER = conv_net.LAYERS[-1]


@pytest.fixture
def model():
    return conv_net.build((4, 4, 1), num_classes=3, width=2)


@pytest.mark.parametrize("layer", [PIXELS, *conv_net.LAYERS])
def test_head_and_tail_are_the_classifier(model, layer):
    cut = CutClassifier(model, layer)
    np.testing.assert_allclose(to_numpy(cut.tail(cut.features(X))), to_numpy(model(X)), atol=1e-6)
    for variable in model.trainable_variables:
        variable.assign(2 * variable)
    np.testing.assert_allclose(to_numpy(cut.tail(cut.features(X))), to_numpy(model(X)), atol=1e-6)


def test_statistics_of_channels(model):
    kernel, bias = model.get_layer(LAYER).get_weights()
    kernel[..., 0], bias[0] = 0.0, 0.5
    model.get_layer(LAYER).set_weights([kernel, bias])
    cut = CutClassifier(model, LAYER)
    features = cut.features(X).astype("float64").reshape(-1, 4)
    mean, stddev = cut.statistics(X)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stddev[1:], features.std(axis=0)[1:], rtol=1e-5)
    # A constant channel has a little noise.
    np.testing.assert_allclose(stddev[0], 1e-3 * features.std(axis=0).max(), rtol=1e-5)


@pytest.mark.parametrize("layer", [PIXELS, LAYER])
def test_every_method(model, layer):
    cut = CutClassifier(model, layer)
    statistics = cut.statistics(X)
    found = methods(cut, beta=1.0, steps=3, num_samples=4, seed=0)
    assert [gradients for _, gradients in found.values()] == [16, 16, 12, 12, 1, 0]
    for name, (function, _) in found.items():
        maps, nats, residual = function(X, Y, *statistics)
        assert (residual is not None) == ("amplitude" in name)
        assert maps.shape == (6, 4, 4)
        if "amplitude" in name or "IBA" in name:
            assert np.all(maps > -1e-5)
            np.testing.assert_allclose(nats, maps.sum(axis=(1, 2)), rtol=1e-4)
        else:
            assert nats is None


def test_the_amplitude_is_that_of_the_tail(model):
    cut = CutClassifier(model, LAYER)
    mean, stddev = cut.statistics(X)
    function, _ = methods(cut, beta=0.064, steps=3, num_samples=4, seed=0)["amplitude"]
    found = function(X, Y, mean, stddev)
    expected = amplitude_attribution(
        cut.tail,
        cut.features(X),
        Y,
        beta=0.001,  # 0.064 for 4 x 4 x 4 elements; still far from stationary after three steps
        steps=3,
        num_samples=4,
        noise=stddev,
        prior_mean=mean,
        seed=0,
    )
    np.testing.assert_allclose(found.values, expected.tokens, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.residual, expected.residual, rtol=1e-3)


def test_gradient_times_activation(model):
    """After the last convolution the logits are linear: the products add up to the logit."""
    cut = CutClassifier(model, LAYER)
    function, _ = methods(cut, 1.0, 1, 1, seed=0)["gradient x activation"]
    maps = function(X, Y, *cut.statistics(X)).values
    logits = to_numpy(model(X))[np.arange(6), Y]
    bias = model.layers[-1].get_weights()[1][Y]
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), logits - bias, atol=1e-5)


def test_a_larger_classifier_averages_over_more_positions(model):
    classifier = Classifier(
        model, lambda shape: conv_net.build(shape, num_classes=3, width=2), (), {}
    )
    # Between the copies lies as much black as the convolutions see.
    apart = np.zeros((6, 16, 16, 1), "float32")
    apart[:, 2:6, 2:6] = apart[:, 10:14, 2:6] = X
    once = np.zeros((6, 8, 8, 1), "float32")
    once[:, 2:6, 2:6] = X
    small = larger(classifier, (8, 8, 1))
    large = to_numpy(larger(classifier, (16, 16, 1))(apart))
    expected = (small(once) + small(np.zeros_like(once))) / 2
    np.testing.assert_allclose(large, to_numpy(expected), atol=1e-5)


def test_resized():
    maps = rng.random((3, 4, 4))
    np.testing.assert_allclose(resized(maps, (4, 4)), maps, atol=1e-6)
    one = np.zeros((1, 2, 2))
    one[0, 1, 0] = 1.0
    place = np.unravel_index(resized(one, (8, 8)).argmax(), (8, 8))
    assert place[0] >= 4
    assert place[1] < 4


def test_layers_to_compare(model):
    assert check_layers(model, [LAYER]) == [PIXELS, LAYER]
    with pytest.raises(ValueError, match=r"convolution_2\. Received: dense, nothing"):
        check_layers(model, [LAYER, "dense", "nothing"])
