"""RateMonitor: the rates in `history`, against those known from the inputs."""

import json

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND
from tests.support import to_numpy

# Eight instances of 4 nats, two of none: in batches of 8 and 2 the mean is 3.2 nats, while the
# mean of the two batches' means would be 2.
X = np.concatenate([np.ones((8, 4)), np.zeros((2, 4))]).astype("float32")
Y = np.zeros((10, 1), "float32")


def sampling(name="latent"):
    """Return a layer whose rate is the squared norm of its input: 3.2 nats for X."""
    return SlashedNormalSampling(kl_weight=0.0, name=name)


def passing(name="latent"):
    """Return a layer of known rates that compiles faster: 2.4 nats for X, 7.2 for 2 X.

    It scales real parts to 1 nat, unless they are 0; the imaginary parts pass.
    """
    return RateNormalization(1.0, "instance", "mean", name=name)


def passing_rate(scale=1.0):
    return 0.8 * (1.0 + 2.0 * scale**2)


def sequential(*layers, built=True, **compile_arguments):
    layers = (keras.Input((4,)), *layers) if built else layers
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse", **compile_arguments)
    return model


def fit(model, *callbacks, monitor=None, **arguments):
    """Fit in batches of 8 and 2 and return the history."""
    callbacks = [monitor or RateMonitor(), *callbacks]
    arguments = {"batch_size": 8, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(X, Y, callbacks=callbacks, **arguments).history


def assert_rates(history, **expected):
    """Check all rates of a history: a number is that of every epoch."""
    rates = {name: value for name, value in history.items() if name.endswith("_rate")}
    assert rates.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(rates[name], value, rtol=1e-5, err_msg=name)


class _LastLogs(keras.callbacks.Callback):
    """Keep what callbacks after the monitor see."""

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = dict(logs)

    def on_test_end(self, logs=None):
        self.test = dict(logs)


class _Scale(keras.layers.Layer):
    """Multiply by a weight that `by_epoch` sets; count the calls, or traces."""

    calls = 0

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False, name="scale")

    def call(self, inputs):
        self.calls += 1
        return inputs * self.scale

    def by_epoch(self, *scales):
        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.scale.assign(scales[epoch])
        )


def test_batches_count_by_their_instances():
    history = fit(sequential(sampling()), validation_data=(2.0 * X, Y), epochs=2)
    assert_rates(history, latent_rate=[3.2, 3.2], val_latent_rate=[12.8, 12.8])
    assert {"loss", "val_loss"} < history.keys()
    json.dumps(history)  # plain numbers, as other callbacks write them to files


def test_each_epoch_starts_anew():
    scale = _Scale()
    history = fit(
        sequential(scale, passing()),
        scale.by_epoch(1.0, 2.0, 0.5),
        validation_data=(2.0 * X, Y),
        epochs=3,
    )
    assert_rates(
        history,
        latent_rate=[passing_rate(s) for s in (1.0, 2.0, 0.5)],
        val_latent_rate=[passing_rate(s) for s in (2.0, 4.0, 1.0)],
    )


def test_validation_in_some_epochs():
    """An epoch without validation reports no validation rate, not the last one again."""
    scale = _Scale()
    last = _LastLogs()
    history = fit(
        sequential(scale, passing()),
        scale.by_epoch(1.0, 2.0, 3.0),
        last,
        validation_data=(X, Y),
        validation_freq=2,
        epochs=3,
    )
    assert_rates(
        history,
        latent_rate=[passing_rate(s) for s in (1.0, 2.0, 3.0)],
        val_latent_rate=[passing_rate(2.0)],
    )
    assert "val_latent_rate" not in last.epoch


def test_fixed_rate_vib_is_reported_once():
    """The rate itself in training; at inference what the moving mean square makes of it."""
    model = sequential(FixedRateVIB(2.3, momentum=0.5, name="latent"))
    history = fit(model, validation_data=(2.0 * X, Y))
    # Zeros cannot be scaled: the second batch carries nothing. Its mean square, 0, counts twice
    # as much as the 4 of the batch before it.
    mean_square = (4.0 + 2.0 * 0.0) / 3.0
    assert_rates(history, latent_rate=0.8 * 2.3, val_latent_rate=2.3 * 12.8 / mean_square)


def test_masked_positions_do_not_count():
    x = np.ones((4, 3, 4), "float32") * np.array([1.0, 2.0, 3.0, 4.0])[:, None, None]
    kept = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 0, 1]], "bool")
    inputs = keras.Input((None, 4))
    masked = keras.layers.Masking()(inputs)
    # What stands at a masked position, here 1, must not count.
    shifted = keras.layers.Dense(4, kernel_initializer="identity", bias_initializer="ones")(masked)
    model = keras.Model(inputs, keras.layers.Dense(1)(passing()(shifted)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.where(kept[..., None], x, 0.0).astype("float32")
    y = np.zeros((4, 3, 1), "float32")
    history = model.fit(
        x, y, batch_size=2, validation_data=(x, y), verbose=0, callbacks=[RateMonitor()]
    ).history
    rates = 1.0 + 2.0 * (x[..., 0] + 1.0) ** 2
    expected = rates[kept].mean()
    assert_rates(history, latent_rate=expected, val_latent_rate=expected)


def test_several_layers():
    scale = _Scale()
    model = sequential(passing("first"), scale, passing("second"), run_eagerly=True)
    history = fit(model, scale.by_epoch(2.0), validation_data=(2.0 * X, Y))
    assert_rates(
        history,
        first_rate=passing_rate(1.0),
        second_rate=passing_rate(2.0),
        val_first_rate=passing_rate(2.0),
        val_second_rate=passing_rate(4.0),
    )


def _functional_part(name, scale):
    inputs = keras.Input((4,))
    outputs = passing()(keras.layers.Rescaling(scale)(inputs))
    return keras.Model(inputs, outputs, name=name)


class _SubclassedPart(keras.Model):
    def __init__(self, name, scale):
        super().__init__(name=name)
        self.scale = keras.layers.Rescaling(scale)
        self.latent = passing()

    def call(self, inputs, training=None):
        return self.latent(self.scale(inputs), training=training)


@pytest.mark.parametrize("part", [_functional_part, _SubclassedPart])
def test_layers_of_one_name(part):
    """Layers of two submodels are told apart by their paths."""
    inputs = keras.Input((4,))
    outputs = part("encoder", 1.0)(inputs) + part("decoder", 2.0)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(outputs))
    model.compile("sgd", "mse", run_eagerly=True)
    history = fit(model, validation_data=(2.0 * X, Y))
    rates = {name: value for name, (value,) in history.items() if name.endswith("_rate")}
    assert len(rates) == 4
    for model_name, scale in (("encoder", 1.0), ("decoder", 2.0)):
        validation, training = sorted(
            (name for name in rates if model_name in name), key=lambda name: "val_" not in name
        )
        assert validation == f"val_{training}"
        assert training.endswith("latent_rate")
        np.testing.assert_allclose(rates[training], passing_rate(scale), rtol=1e-5)
        np.testing.assert_allclose(rates[validation], passing_rate(2.0 * scale), rtol=1e-5)


def test_model_without_such_layers():
    history = fit(sequential(keras.layers.Dropout(0.5)), validation_data=(X, Y))
    assert history.keys() == {"loss", "val_loss"}


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_evaluate_alone(built, run_eagerly, capsys):
    """`evaluate` shows the rate, of a model not yet built too."""
    model = sequential(passing(), built=built, run_eagerly=run_eagerly)
    last = _LastLogs()
    for scale in (1.0, 2.0):
        arguments = {"batch_size": 8, "verbose": 2, "callbacks": [RateMonitor(), last]}
        model.evaluate(scale * X, Y, **arguments)
        assert_rates(last.test, latent_rate=passing_rate(scale))
        assert f"latent_rate: {passing_rate(scale):.4f}" in capsys.readouterr().out
    assert model.layers[0].rate_tracker.at_inference is False


@pytest.mark.parametrize("built", [True, False])
def test_run_eagerly(built):
    model = sequential(passing(), built=built, run_eagerly=True)
    history = fit(model, validation_data=(2.0 * X, Y), epochs=2)
    assert_rates(history, latent_rate=passing_rate(), val_latent_rate=[passing_rate(2.0)] * 2)


def test_fit_of_an_unbuilt_model():
    """TensorFlow builds it in the first step, after the monitor has begun."""
    history = fit(sequential(passing(), built=False), validation_data=(2.0 * X, Y), epochs=2)
    assert_rates(history, latent_rate=passing_rate(), val_latent_rate=[passing_rate(2.0)] * 2)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has one step an execution on PyTorch.")
def test_steps_per_execution():
    model = sequential(passing(), steps_per_execution=2)
    history = fit(model, validation_data=(2.0 * X, Y), epochs=2)
    assert_rates(history, latent_rate=passing_rate(), val_latent_rate=[passing_rate(2.0)] * 2)


@pytest.mark.parametrize("same_monitor", [True, False])
def test_fit_again(same_monitor):
    """After another fit, after compiling again, and after an `evaluate` without a monitor."""
    model = sequential(passing())
    model.evaluate(X, Y, verbose=0)  # traces the test function, which does not count
    monitor = RateMonitor()
    for scale in (1.0, 2.0, 3.0):
        history = fit(
            model,
            monitor=monitor if same_monitor else RateMonitor(),
            validation_data=(scale * X, Y),
        )
        assert_rates(history, latent_rate=passing_rate(), val_latent_rate=passing_rate(scale))
        if scale == 2.0:
            model.compile("sgd", "mse")
            model.evaluate(X, Y, verbose=0)


def test_progress_line(capsys):
    fit(sequential(passing(), run_eagerly=True), validation_data=(2.0 * X, Y), verbose=2)
    printed = capsys.readouterr().out
    assert " - latent_rate: 2.4000" in printed
    assert " - val_latent_rate: 7.2000" in printed


def test_later_callbacks_see_the_rates():
    stop = keras.callbacks.EarlyStopping("val_latent_rate", mode="min")
    last = _LastLogs()
    model = sequential(passing(), run_eagerly=True)
    history = fit(model, stop, last, validation_data=(X, Y), epochs=3)
    assert len(history["val_latent_rate"]) == 2  # as the second is no better than the first
    assert {"latent_rate", "val_latent_rate"} < last.epoch.keys()


def test_nothing_counts_at_inference_after_fit():
    """A model in service should write to no variable."""
    layer = passing()
    model = sequential(layer)
    fit(model, validation_data=(X, Y))
    assert layer.rate_tracker.at_inference is False
    before = [to_numpy(weight).copy() for weight in layer.weights]
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    model(X)
    for old, new in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))


def test_compiled_anew_between_fits():
    """The monitor keeps no function of the loss before."""
    monitor = RateMonitor()
    model = sequential(passing())
    fit(model, monitor=monitor, validation_data=(X, Y))
    model.compile("sgd", "mae")
    (loss,) = fit(model, monitor=monitor, validation_data=(X, Y))["val_loss"]
    np.testing.assert_allclose(loss, np.mean(np.abs(model.predict(X, verbose=0) - Y)), rtol=1e-5)


class _TwoOfOneName(keras.layers.Layer):
    def __init__(self):
        super().__init__(name="twins")
        self.first = passing()
        self.second = passing()

    def call(self, inputs, training=None):
        return self.first(inputs, training=training) + self.second(2.0 * inputs, training=training)


def test_layers_of_one_path_are_numbered():
    history = fit(sequential(_TwoOfOneName(), run_eagerly=True))
    expected = {
        "twins/latent_rate": passing_rate(),
        "twins/latent_2_rate": passing_rate(2.0),
    }
    rates = {name.split("sequential/")[-1]: value for name, value in history.items()}
    assert_rates(rates, **expected)


def test_traces_once():
    """The monitor makes each function trace once, not once an epoch."""
    scale = _Scale()
    calls = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: calls.append(scale.calls))
    fit(sequential(scale, passing()), count, validation_data=(X, Y), epochs=3)
    if BACKEND != "torch":  # which traces nothing and calls each layer at each step
        assert calls[0] == calls[1] == calls[2]
    assert len(calls) == 3


def test_frozen_layer_is_reported():
    layer = RateNormalization(2.0, name="latent")
    layer(X, training=True)
    layer.trainable = False
    history = fit(sequential(layer, run_eagerly=True))
    # The moving mean square, 3.2 nats, scales X, and two batches have the mean rate of X.
    assert_rates(history, latent_rate=2.0)


def test_a_layer_of_two_submodels_is_reported_once():
    latent, inputs = SlashedNormalSampling(inference="mean", name="latent"), keras.Input((4,))
    parts = []
    for name in ("one", "two"):
        x = keras.Input((4,))
        parts.append(keras.Model(x, latent(x), name=name))
    outputs = keras.layers.Dense(1)(parts[0](inputs) + parts[1](2.0 * inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((8, 4), "float32")
    history = model.fit(x, x[:, :1], verbose=0, callbacks=[RateMonitor()]).history
    rates = {name: value for name, value in history.items() if name.endswith("rate")}
    assert rates == {"latent_rate": [10.0]}  # of 4 and of 16 nats
