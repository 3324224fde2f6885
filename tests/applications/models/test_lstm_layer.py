"""The LSTM of the applications against Keras' own, on every backend."""

import importlib

import keras
import numpy as np
import pytest
from keras import ops

from applications.models.lstm_layer import LSTM
from tests.support import BACKEND
from tests.support import gradient
from tests.support import to_numpy

# A kernel for each backend.
pytestmark = pytest.mark.experiment("tensorflow", "jax", "torch")
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(3, 5, 2)).astype("float32")
STATES = [RNG.normal(size=(3, 4)).astype("float32") for _ in range(2)]
WEIGHT = RNG.normal(size=(3, 5, 4)).astype("float32")


def make(layer_class, **options):
    layer = layer_class(4, return_sequences=True, return_state=True, **options)
    layer.build(SEQUENCES.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"use_bias": False}])
def test_outputs_are_those_of_keras(options):
    own, keras_own = make(LSTM, **options), make(keras.layers.LSTM, **options)
    for states in (None, STATES):
        for one, other in zip(own(SEQUENCES, states), keras_own(SEQUENCES, states), strict=True):
            np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-5, atol=1e-6)


def test_a_mask_is_kept():
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], bool)
    own, keras_own = make(LSTM), make(keras.layers.LSTM)
    results = [layer(SEQUENCES, mask=mask) for layer in (own, keras_own)]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_keras():
    """Compare gradients in inputs and states, and a step of gradient descent on the weights."""

    def loss(layer, sequences, h, c):
        outputs, last_h, last_c = layer(sequences, [h, c])
        weighted = ops.sum(ops.multiply(outputs, WEIGHT)) + ops.sum(ops.multiply(last_h, STATES[1]))
        return weighted - ops.sum(last_c)

    layers = make(LSTM), make(keras.layers.LSTM)

    def gradient_by(layer, place):
        arguments = [SEQUENCES, *STATES]

        def at(x):
            return loss(layer, *arguments[:place], x, *arguments[place + 1 :])

        return ops.convert_to_numpy(gradient(at, arguments[place]))

    for place in range(3):
        gradients = [gradient_by(layer, place) for layer in layers]
        assert np.abs(gradients[0]).max() > 0.1
        np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)

    steps = []
    for layer in layers:
        inputs = keras.Input(SEQUENCES.shape[1:])
        outputs, h, c = layer(inputs)
        model = keras.Model(inputs, [outputs, h, c])
        model.compile(
            keras.optimizers.SGD(1.0), ["mse", "mse", "mse"], jit_compile=BACKEND == "jax"
        )
        before = [to_numpy(weight).copy() for weight in layer.weights]
        model.train_on_batch(SEQUENCES, [WEIGHT, *STATES])
        steps.append([to_numpy(w) - b for w, b in zip(layer.weights, before)])
    for one, other in zip(*steps, strict=True):
        assert np.abs(one).max() > 0.01
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has a fast loop of its own")
def test_which_loop_runs(monkeypatch):
    """The faster one where it may, Keras' own where it may not."""
    kernel = importlib.import_module(f"applications.models.lstm_kernel_{BACKEND}")
    calls = []
    original = kernel.lstm
    monkeypatch.setattr(kernel, "lstm", lambda *a: calls.append(1) or original(*a))
    make(LSTM)(SEQUENCES)
    assert calls == [1]
    make(LSTM)(SEQUENCES, mask=np.ones((3, 5), bool))
    make(LSTM, activation="relu")(SEQUENCES)
    make(LSTM, dtype="mixed_bfloat16")(SEQUENCES)
    make(LSTM, recurrent_dropout=0.1)(SEQUENCES, training=True)
    assert calls == [1]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="elsewhere lengths are known when compiled")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_lengths_that_vary(jit_compile):
    """One model for batches of any length, in graph mode and under XLA."""
    results = []
    for layer_class in (LSTM, keras.layers.LSTM):
        inputs = keras.Input((None, 2))
        model = keras.Model(inputs, make(layer_class)(inputs)[0])
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit_compile)
        for length in (5, 3, 4):
            model.train_on_batch(SEQUENCES[:, :length], WEIGHT[:, :length])
        results.append([to_numpy(weight) for weight in model.weights])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
