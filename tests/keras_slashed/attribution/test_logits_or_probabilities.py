"""Whether outputs are read as logits or as probabilities, and that all of x decides."""

import importlib

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_slashed.attribution import amplitude_attribution
from tests.support import BACKEND

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
SMALL = 0.05 * X + 0.1  # of which the units below make numbers in [0, 1]
Y = (X[:, 0] > 0).astype("int32")
CLASSES = np.arange(16) % 3
OPTIONS = {"steps": 1, "num_samples": 2, "noise": 0.01, "seed": 0}
MODULES = {"jax": "jax.nn", "tensorflow": "tensorflow.nn", "torch": "torch"}
BACKEND_SIGMOID = importlib.import_module(MODULES[BACKEND]).sigmoid


def own_sigmoid(x):
    return 1.0 / (1.0 + ops.exp(-x))


def own_softmax(x):
    return ops.exp(x) / ops.sum(ops.exp(x), axis=-1, keepdims=True)


def unit(activation, *after):
    """Return a model of one unit with weights of 1, and of layers after it."""
    dense = layers.Dense(1, kernel_initializer="ones", activation=activation)
    return keras.Sequential([keras.Input((3,)), dense, *after])


def read_as(model, x, y, **options):
    """Return "logits" or "probabilities", by the losses at almost no noise."""
    found = amplitude_attribution(model, x, y, **OPTIONS, **options).noise_loss
    both = {
        "logits" if from_logits else "probabilities": amplitude_attribution(
            model, x, y, from_logits=from_logits, **OPTIONS
        ).noise_loss
        for from_logits in (True, False)
    }
    assert not np.allclose(*both.values(), rtol=0.01)
    return next(name for name, loss in both.items() if np.allclose(found, loss, rtol=1e-6))


@pytest.mark.parametrize(
    "activation",
    ["sigmoid", "hard_sigmoid", ops.sigmoid, BACKEND_SIGMOID, own_sigmoid],
)
def test_a_unit_with_any_sigmoid_is_a_probability(activation):
    assert read_as(unit(activation), X, Y) == "probabilities"


@pytest.mark.parametrize("x", [X, SMALL])
@pytest.mark.parametrize("activation", [None, "linear", keras.activations.linear])
def test_a_linear_unit_is_a_logit(activation, x):
    assert read_as(unit(activation), x, Y) == "logits"


KEEPING = [
    [layers.Reshape((1,))],
    [layers.Flatten()],
    [layers.Dropout(0.5), layers.Identity()],
    [layers.Activation("linear", dtype="float32")],
    [layers.GaussianNoise(0.5), layers.Reshape((1, 1)), layers.Flatten()],
    [keras.Sequential([keras.Input((1,)), layers.Reshape((1,))])],
]


@pytest.mark.parametrize("after", KEEPING)
def test_layers_that_keep_values_do_not_decide(after):
    assert read_as(unit(None, *after), SMALL, Y) == "logits"
    # The linear layer here is not the one that makes the values.
    assert read_as(unit("sigmoid", *after), X, Y) == "probabilities"


def test_nested_models_and_operations():
    inner = unit(None)
    inputs = keras.Input((3,))
    head = keras.Sequential([keras.Input((1,)), layers.Dropout(0.1)])
    model = keras.Model(inputs, ops.squeeze(ops.cast(head(inner(inputs)), "float32"), -1))
    assert read_as(model, SMALL, Y) == "logits"
    by_name = keras.Model(inputs, {"b": inner(inputs)[:, 0], "a": layers.Dense(2)(inputs)})
    found = amplitude_attribution(by_name, SMALL, Y, output="b", **OPTIONS)
    told = amplitude_attribution(inner, SMALL, Y, from_logits=True, **OPTIONS)
    np.testing.assert_allclose(found.noise_loss, told.noise_loss, rtol=1e-5)


def test_layers_that_change_values_leave_it_to_the_range():
    """Logits of which no layer says so, within [0, 1] and beyond it."""
    rescaled = unit("sigmoid", layers.Rescaling(8.0, offset=-4.0))
    assert read_as(rescaled, X, Y) == "logits"
    assert read_as(unit("relu"), X, Y) == "logits"
    assert read_as(unit("relu"), SMALL, Y) == "probabilities"


@pytest.mark.parametrize("activation", ["softmax", ops.softmax, own_softmax])
def test_any_softmax_is_probabilities(activation):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation=activation)])
    found, told = (
        amplitude_attribution(model, X, CLASSES, from_logits=from_logits, **OPTIONS)
        for from_logits in (None, False)  # Keras on TensorFlow sees the softmax, and allows no True
    )
    np.testing.assert_allclose(found.noise_loss, told.noise_loss, rtol=1e-6)


def test_linear_scores_with_a_sum_of_1_are_logits():
    shares = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, use_bias=False)])
    model.set_weights([np.eye(3)])
    assert read_as(model, shares, CLASSES) == "logits"
    assert read_as(lambda x: model(x), shares, CLASSES) == "probabilities"


@pytest.mark.parametrize("batch_size", [4, 32])
def test_all_of_x_decides(batch_size):
    """The first batches alone look like probabilities."""
    options = {"batch_size": batch_size}
    x = np.concatenate([SMALL[:4], X])
    y = np.concatenate([Y[:4], Y])
    assert read_as(lambda x: ops.sum(x, axis=-1, keepdims=True), x, y, **options) == "logits"
    shares = np.abs(X[:4]) / np.abs(X[:4]).sum(axis=1, keepdims=True)
    x = np.concatenate([shares, X]).astype("float32")
    assert read_as(lambda x: x, x, np.arange(20) % 3, **options) == "logits"


@pytest.mark.parametrize(("units", "activation"), [(2, "softmax"), (1, "sigmoid")])
def test_improbable_classes_have_the_map_of_their_logits(units, activation):
    """Keras' own losses of probabilities are constant below 1e-7."""
    maps = {}
    for name in ("linear", activation):
        dense = layers.Dense(units, activation=name)
        model = keras.Sequential([keras.Input((2,)), dense])
        kernel = [[1.0, -1.0], [0.5, -0.5]] if units == 2 else [[-2.0], [-1.0]]
        dense.set_weights([np.array(kernel), np.zeros(units)])
        x = np.array([[8.0, 0.0], [11.0, 0.0], [16.0, 0.0]], "float32")
        y = np.ones(3, "int32")
        result = amplitude_attribution(model, x, y, beta=1.0, noise=0.1, seed=0)
        maps[name] = result
    assert maps["linear"].loss[0] > 15.0
    assert maps["linear"].loss[-1] > 30.0
    np.testing.assert_allclose(maps[activation].nats, maps["linear"].nats, rtol=1e-3)
    np.testing.assert_allclose(maps[activation].loss, maps["linear"].loss, rtol=1e-4)
    assert np.all(maps[activation].rate > 0.02)
