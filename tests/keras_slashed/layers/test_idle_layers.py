"""RateMonitor warns of layers that no step of an epoch calls in training, and of no others."""

import contextlib
import warnings

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND

X = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")
Y = np.zeros((6, 1), "float32")


class _Passing(keras.Model):
    """Hand `training` on to the bottleneck."""

    def __init__(self, latent=None):
        super().__init__(name="model")
        self.latent = latent or FixedRateVIB(2.0, name="bottleneck")
        self.decoder = keras.layers.Dense(1)

    def build(self, shape):
        self.latent.build(shape)
        self.decoder.build(self.latent.compute_output_shape(shape))

    def call(self, inputs, training=None):
        return self.decoder(self.latent(inputs, training=training))


class _NotPassing(_Passing):
    """Leave it to Keras, which hands it on but on JAX."""

    def call(self, inputs, training=None):
        return self.decoder(self.latent(inputs))


class _WithoutTraining(_Passing):
    def call(self, inputs):
        return self.decoder(self.latent(inputs))


IDLE = [_WithoutTraining, *([_NotPassing] if BACKEND == "jax" else [])]


def fit(model, x=X, **arguments):
    model.compile("sgd", "mse", run_eagerly=arguments.pop("run_eagerly", False))
    arguments = {"epochs": 3, "batch_size": 3, "verbose": 0, **arguments}
    return model.fit(x, Y[: len(x)], callbacks=[RateMonitor()], **arguments).history


@contextlib.contextmanager
def idle_warnings():
    """Yield the monitor's warnings that are issued within."""
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [warning for warning in caught if "`training=True`" in str(warning.message)]


@pytest.mark.parametrize("make", IDLE)
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_idle_layer(make, run_eagerly):
    """One warning in a `fit`, that names the layer and the remedy, where `fit` was called."""
    model = make()
    for _ in range(2):
        with idle_warnings() as found:
            history = fit(model, run_eagerly=run_eagerly, validation_data=(X, Y))
        (warning,) = found
        assert warning.category is UserWarning
        assert warning.filename == __file__
        message = str(warning.message)
        assert "Layer 'bottleneck' " in message
        assert "an argument `training` and pass it on" in message
        assert "bottleneck_rate" not in history
        assert len(history["val_bottleneck_rate"]) == 3


def test_each_idle_layer_by_name():
    latent = keras.Sequential(
        [
            RateNormalization(2.0, name="first"),
            keras.layers.Dense(8),
            SlashedNormalSampling(name="second"),
        ]
    )
    with idle_warnings() as found:
        fit(_WithoutTraining(latent))
    assert sorted(str(warning.message).split("'")[1] for warning in found) == ["first", "second"]


def test_layer_that_no_step_calls():
    class Unused(_Passing):
        def call(self, inputs, training=None):
            return self.decoder(inputs[:, :4])

    with idle_warnings() as found:
        fit(Unused(), epochs=1)
    assert len(found) == 1


class _Frozen(_Passing):
    def __init__(self):
        super().__init__()
        self.latent.trainable = False


@pytest.mark.parametrize("make", [_Passing, _Frozen])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_layer_in_training(make, run_eagerly):
    model = make()
    with idle_warnings() as found:
        fit(model, run_eagerly=run_eagerly, validation_data=(X, Y))
        fit(model, run_eagerly=run_eagerly)
        model.evaluate(X, Y, verbose=0, callbacks=[RateMonitor()])
    assert not found


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_model_that_the_first_step_builds(run_eagerly):
    model = keras.Sequential([FixedRateVIB(2.0), keras.layers.Dense(1)])
    with idle_warnings() as found:
        fit(model, run_eagerly=run_eagerly, epochs=1)
    assert not found


def test_all_instances_masked():
    """A training call it was, in which nothing counted: no rate, and no warning."""
    inputs = keras.Input((3, 8))
    outputs = FixedRateVIB(2.0, name="bottleneck")(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(outputs[:, 0]))
    with idle_warnings() as found:
        history = fit(model, np.zeros((6, 3, 8), "float32"))
    assert not found
    assert "bottleneck_rate" not in history


def test_the_same_monitor_in_another_fit():
    model, monitor = _WithoutTraining(), RateMonitor()
    model.compile("sgd", "mse")
    for _ in range(2):
        with idle_warnings() as found:
            model.fit(X, Y, batch_size=3, verbose=0, callbacks=[monitor])
        assert len(found) == 1
