"""RateCalibration: validation at the rate that was set, next to other callbacks."""

import keras
import numpy as np
import pytest

from keras_slashed.calibration import calibrate
from keras_slashed.callbacks import RateCalibration
from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from tests.support import BACKEND
from tests.support import to_numpy

RATE = 1.5
_rng = np.random.default_rng(0)
X = _rng.normal(size=(72, 5)).astype("float32")
Y = np.float32(X[:, :1] > 0.0)


def classifier(normalization="batch", dense=keras.layers.Dense, **compile_arguments):
    vib = FixedRateVIB(RATE, normalization, seed=0, name="latent")
    model = keras.Sequential([keras.Input((5,)), dense(6, name="amplitude"), vib, dense(1)])
    eagerly = compile_arguments.get("run_eagerly", False)
    arguments = {"jit_compile": BACKEND == "jax" and not eagerly, **compile_arguments}
    model.compile(keras.optimizers.Adam(0.1), "mse", **arguments)
    return model


def fit(model, *callbacks, **arguments):
    arguments = {"validation_data": (X, Y), "epochs": 3, "batch_size": 16, **arguments}
    return model.fit(X, Y, verbose=0, callbacks=callbacks, **arguments).history


def mean_rate(model, x=X):
    """Return the rate at inference by NumPy, of what the dense layer and the statistic are."""
    amplitude = to_numpy(model.get_layer("amplitude")(x)).astype("float64")
    a, b = np.split(amplitude, 2, axis=-1)
    square = a**2 + b**2
    layer = model.get_layer("latent").rate_normalization
    moving = to_numpy(layer.moving_mean_square) / to_numpy(layer.moving_weight)
    if layer.normalization == "feature":
        moving = moving * square.shape[-1]
    return RATE * (square / moving).sum(-1).mean()


@pytest.mark.parametrize("normalization", ["batch", "feature"])
@pytest.mark.parametrize("first", [True, False])
def test_every_validation_is_at_the_rate(normalization, first):
    """Whether it comes before a RateMonitor or after, which does not count its pass."""
    callbacks = [RateCalibration(X, batch_size=20), RateMonitor()]
    model = classifier(normalization, jit_compile="auto")
    history = fit(model, *(callbacks if first else callbacks[::-1]))
    np.testing.assert_allclose(history["val_latent_rate"], RATE, rtol=2e-6)
    np.testing.assert_allclose(history["latent_rate"], RATE, rtol=2e-6)
    np.testing.assert_allclose(mean_rate(model), RATE, rtol=1e-6)


def test_without_it_validation_is_not():
    history = fit(model := classifier(), RateMonitor())
    assert np.min(np.abs(np.divide(history["val_latent_rate"], RATE) - 1.0)) > 0.01
    assert abs(mean_rate(model) / RATE - 1.0) > 0.01


@pytest.mark.parametrize(("run_eagerly", "shuffle"), [(False, True), (True, False)])
def test_training_is_what_it_is_without(run_eagerly, shuffle):
    """Losses, weights, noise and order; on JAX under jit, which holds them outside of variables."""
    plain, calibrated = (classifier(run_eagerly=run_eagerly) for _ in range(2))
    calibrated.set_weights(plain.get_weights())
    keras.utils.set_random_seed(3)
    expected = fit(plain, shuffle=shuffle)
    keras.utils.set_random_seed(3)
    history = fit(calibrated, RateCalibration(X), shuffle=shuffle)
    np.testing.assert_array_equal(history["loss"], expected["loss"])
    assert np.all(np.not_equal(history["val_loss"], expected["val_loss"]))
    for one, other in zip(plain.trainable_weights, calibrated.trainable_weights):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


def test_validation_sees_it():
    """The loss of each validation is that of a model calibrated by hand."""
    losses = []

    class ByHand(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            copy = keras.models.clone_model(self.model)
            copy.compile(loss="mse")
            copy.set_weights(self.model.get_weights())
            calibrate(copy, X)
            losses.append(copy.evaluate(X, Y, verbose=0))

    history = fit(classifier(), RateCalibration(X), ByHand())
    np.testing.assert_allclose(history["val_loss"], losses, rtol=1e-5)


def test_without_validation_at_the_end_alone():
    callback = RateCalibration(X)
    model = classifier()
    rates = []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: rates.append(mean_rate(model)))
    fit(model, callback, look, validation_data=None)
    assert np.min(np.abs(np.divide(rates, RATE) - 1.0)) > 0.01
    np.testing.assert_allclose(mean_rate(model), RATE, rtol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_early_stopping_restores_calibrated_weights(first):
    """The first epoch is the best: its weights come back, at the rate."""
    stop = keras.callbacks.EarlyStopping(
        "val_loss", mode="max", patience=1, restore_best_weights=True, start_from_epoch=0
    )
    best = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: best.append(model.get_layer("amplitude").get_weights())
    )
    model = classifier()
    callbacks = [RateCalibration(X), stop]
    history = fit(model, keep, *(callbacks if first else callbacks[::-1]), epochs=20)
    assert 1 < len(history["loss"]) < 20
    kernel = to_numpy(model.get_layer("amplitude").kernel)
    np.testing.assert_array_equal(kernel, best[int(np.argmax(history["val_loss"]))][0])
    np.testing.assert_allclose(mean_rate(model), RATE, rtol=1e-6)


def test_model_checkpoint_saves_calibrated_models(tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    fit(classifier(), RateCalibration(X), keras.callbacks.ModelCheckpoint(path))
    for epoch in (1, 2, 3):
        model = keras.saving.load_model(path.format(epoch=epoch))
        np.testing.assert_allclose(mean_rate(model), RATE, rtol=1e-6)


def test_evaluate_alone():
    model = classifier()
    model.evaluate(X, Y, verbose=0, callbacks=[RateCalibration(X[:40])])
    np.testing.assert_allclose(mean_rate(model, X[:40]), RATE, rtol=1e-6)


class _Counted(keras.layers.Dense):
    """Count the calls, or traces."""

    calls = 0

    def call(self, inputs):
        type(self).calls += 1
        return super().call(inputs)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch traces nothing: each step is a call.")
def test_traces_once():
    """Nothing is compiled again in later epochs, or in another `fit` with layers frozen or not."""
    _Counted.calls = 0
    calls = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: calls.append(_Counted.calls))
    fit(classifier(dense=_Counted), RateCalibration(X), count)
    assert calls[0] == calls[1] == calls[2]


def test_frozen_layers_stay_as_they_are():
    model = classifier()
    calibrate(model, 2.0 * X)
    model.get_layer("latent").trainable = False
    before = mean_rate(model)
    callback = RateCalibration(X)
    model.compile(keras.optimizers.Adam(1e-12), "mse")
    fit(model, callback)
    np.testing.assert_allclose(mean_rate(model), before, rtol=1e-5)
    model.get_layer("latent").trainable = True
    fit(model, callback)
    np.testing.assert_allclose(mean_rate(model), RATE, rtol=1e-6)


def test_layers_frozen_after_a_fit():
    """An `evaluate` with the same callback leaves them alone, and calibrates them again later."""
    model, callback = classifier(), RateCalibration(X)
    fit(model, callback)
    calibrate(model, 2.0 * X)
    before = mean_rate(model)
    assert abs(before / RATE - 1.0) > 0.5
    model.get_layer("latent").trainable = False
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    assert mean_rate(model) == before
    model.get_layer("latent").trainable = True
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(mean_rate(model), RATE, rtol=1e-6)


def test_layers_frozen_during_a_fit():
    """The calibration at its end leaves them alone."""
    model = classifier()
    rates = []

    class Freeze(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.get_layer("latent").trainable = False
            rates.append(mean_rate(self.model))

    fit(model, RateCalibration(X), Freeze(), validation_data=None, epochs=1)
    assert rates == [mean_rate(model)]
    assert abs(rates[0] / RATE - 1.0) > 0.01


def test_a_loss_of_nan():
    model = classifier()
    calibrate(model, X)
    broken = X.copy()
    broken[0] = np.nan
    before = to_numpy(model.get_layer("latent").rate_normalization.moving_mean_square).copy()
    with pytest.warns(UserWarning, match="RateCalibration changed nothing. The mean square"):
        model.evaluate(X, Y, verbose=0, callbacks=[RateCalibration(broken)])
    after = to_numpy(model.get_layer("latent").rate_normalization.moving_mean_square)
    np.testing.assert_array_equal(before, after)


def test_refusals():
    with pytest.raises(ValueError, match=r"can be iterated over several times.*Received: x="):
        RateCalibration(iter([X]))
    with pytest.raises(ValueError, match=r"`x` must be an array.*None"):
        RateCalibration(None)
    with pytest.raises(ValueError, match=r"`batch_size` must be a positive integer.*'a'"):
        RateCalibration(X, batch_size="a")
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`model` must be a Keras model with at least one Fixed"):
        fit(model, RateCalibration(X))
