"""Our layers in Keras' own tools: TensorBoard's scalars and the plot of a model."""

import importlib.util
import os

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling


def make_model():
    inputs = keras.Input((4,))
    latent = FixedRateVIB(2.0, name="bottleneck")(keras.layers.Dense(4)(inputs))
    outputs = SlashedNormalSampling(name="latent")(keras.layers.Dense(4)(latent))
    return keras.Model(inputs, outputs)


def installed(*packages):
    return all(importlib.util.find_spec(package) for package in packages)


@pytest.mark.skipif(
    not installed("tensorflow", "tensorboard"), reason="Keras' TensorBoard wants both"
)
def test_rates_in_tensorboard(tmp_path):
    """The rate of every layer, in training and validation, as the history has it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    model = make_model()
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    board = keras.callbacks.TensorBoard(os.fspath(tmp_path), write_graph=False)
    # RateMonitor first: callbacks run in order, and it writes what TensorBoard reads.
    history = model.fit(
        x, x[:, :2], validation_split=0.25, epochs=3, verbose=0, callbacks=[RateMonitor(), board]
    ).history
    for folder, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(os.path.join(tmp_path, folder)).Reload()
        for name in ("bottleneck_rate", "latent_rate"):
            found = events.Tensors(f"epoch_{name}")
            values = [float(tensor_util.make_ndarray(event.tensor_proto)) for event in found]
            np.testing.assert_allclose(values, history[prefix + name], rtol=1e-6)


@pytest.mark.skipif(not installed("pydot"), reason="pydot is not installed")
def test_plot_of_a_model():
    """Each layer is one box, with its name and shapes."""
    dot = keras.utils.model_to_dot(make_model(), show_shapes=True, show_layer_names=True)
    text = dot.to_string()
    for words in ("bottleneck", "FixedRateVIB", "latent", "SlashedNormalSampling", "(None, 2)"):
        assert words in text
    assert "rate_normalization" not in text
