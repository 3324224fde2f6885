"""RateMonitor: the model that it watched writes to no variable afterward, whatever happened."""

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.layers import set_inference
from tests.support import BACKEND
from tests.support import to_numpy

X = np.ones((16, 4), "float32")  # 4 nats for each row
BATCH = 8


class Interrupt(keras.callbacks.Callback):
    """Raise a KeyboardInterrupt at one of the times at which Keras calls a callback."""

    def __init__(self, when):
        super().__init__()
        setattr(self, when, self.interrupt)

    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt


class Last(keras.callbacks.Callback):
    """Keep the logs of the last evaluation."""

    def on_test_end(self, logs=None):
        self.logs = dict(logs)


def latent_model(**compile_arguments):
    layers = [SlashedNormalSampling(0.0, name="latent"), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("sgd", "mse", **compile_arguments)
    return model


def fit(model, *callbacks, **arguments):
    arguments = {"validation_data": (X, X), "batch_size": BATCH, "verbose": 0, **arguments}
    return model.fit(X, X, callbacks=list(callbacks), **arguments).history


def evaluate(model, *callbacks):
    model.evaluate(X, X, batch_size=BATCH, verbose=0, callbacks=list(callbacks))


def assert_writes_nothing(model):
    """Check it of all functions of the model, which may have been compiled with the tracking."""
    tracked = model.get_layer("latent").rate_tracker.variable
    before = to_numpy(tracked).copy()
    model(X)
    np.testing.assert_array_equal(to_numpy(tracked), before)
    model.predict(X, batch_size=BATCH, verbose=0)
    np.testing.assert_array_equal(to_numpy(tracked), before)
    evaluate(model)
    np.testing.assert_array_equal(to_numpy(tracked), before)


def assert_still_tracks(model, monitor):
    history = fit(model, monitor, epochs=2)
    np.testing.assert_allclose(history["latent_rate"], [4.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(history["val_latent_rate"], [4.0, 4.0], rtol=1e-6)
    last = Last()
    evaluate(model, monitor, last)
    np.testing.assert_allclose(last.logs["latent_rate"], 4.0, rtol=1e-6)


OPTIONS = [{}, {"run_eagerly": True}]
if BACKEND == "jax":
    OPTIONS.append({"jit_compile": False})
if BACKEND != "torch":  # which has one step an execution
    OPTIONS.append({"steps_per_execution": 2})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("traced_before", [False, True])
def test_an_interrupted_validation(options, traced_before):
    """Keras calls no callback then."""
    model, monitor = latent_model(**options), RateMonitor()
    if traced_before:
        fit(model)
    own = model.test_function
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Interrupt("on_test_batch_end"))
    assert model.get_layer("latent").rate_tracker.at_inference is False
    if traced_before:
        assert model.test_function is own
    assert_writes_nothing(model)
    assert_still_tracks(model, monitor)
    assert_writes_nothing(model)


@pytest.mark.parametrize("when", ["on_test_begin", "on_test_end", "on_epoch_end"])
def test_interrupted_elsewhere(when):
    model, monitor = latent_model(), RateMonitor()
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Interrupt(when))
    assert_writes_nothing(model)
    assert_still_tracks(model, monitor)


def test_interrupted_just_before_a_step():
    """The next step restores the function of the model, whether a monitor watches or not."""
    model, monitor = latent_model(run_eagerly=True), RateMonitor()
    fit(model)
    own = model.test_function
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Interrupt("on_test_batch_begin"))
    model.predict(X, verbose=0)
    evaluate(model)
    assert model.test_function is own
    assert_writes_nothing(model)
    with pytest.raises(KeyboardInterrupt):
        fit(model, monitor, Interrupt("on_test_batch_begin"))
    assert_still_tracks(model, monitor)
    assert model.test_function is own


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_two_monitors(options):
    model = latent_model(**options)
    fit(model)
    own, last = model.test_function, Last()
    history = fit(model, RateMonitor(), RateMonitor(), epochs=2)
    np.testing.assert_allclose(history["val_latent_rate"], [4.0, 4.0], rtol=1e-6)
    evaluate(model, RateMonitor(), RateMonitor(), last)
    np.testing.assert_allclose(last.logs["latent_rate"], 4.0, rtol=1e-6)
    assert model.test_function is own
    assert_writes_nothing(model)


def test_batches_of_the_same_shape_as_without_a_monitor():
    """`jax.jit` would use the trace of the model's own test function, which does not track."""
    model = latent_model()
    evaluate(model)
    last = Last()
    evaluate(model, RateMonitor(), last)
    np.testing.assert_allclose(last.logs["latent_rate"], 4.0, rtol=1e-6)
    assert_writes_nothing(model)
    assert "test_step" not in vars(model)


def test_a_test_step_of_an_instance_stays():
    model, calls = latent_model(run_eagerly=True), []
    step = model.test_step

    def counted(*args):
        calls.append(1)
        return step(*args)

    model.test_step = counted
    last = Last()
    evaluate(model, RateMonitor(), last)
    np.testing.assert_allclose(last.logs["latent_rate"], 4.0, rtol=1e-6)
    assert model.test_step is counted
    assert len(calls) == len(X) // BATCH


def test_a_monitor_that_is_kept_keeps_no_trace():
    """On JAX the function that replaces a living one would be given its trace."""
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    y = np.zeros((16, 1), "float32")
    model = keras.Sequential(
        [keras.Input((4,)), FixedRateVIB(2.0, "instance"), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", jit_compile=BACKEND == "jax")
    monitor = RateMonitor()
    model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=[monitor])
    before = model.evaluate(x, y, verbose=0)
    assert before == model.evaluate(x, y, verbose=0)
    set_inference(model, "sample")
    assert model.evaluate(x, y, verbose=0) != model.evaluate(x, y, verbose=0)
    set_inference(model, "mean")
    model.compile("sgd", "mae", jit_compile=BACKEND == "jax")
    expected = np.mean(np.abs(model.predict(x, verbose=0)))
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-5)
    history = model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=[monitor]).history
    expected = np.mean(np.abs(model.predict(x, verbose=0)))
    np.testing.assert_allclose(history["val_loss"], [expected], rtol=1e-5)
