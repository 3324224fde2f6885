"""What a user sets on a layer holds: it is in the config and the file, and no weights change it."""

import os

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import GECO
from keras_slashed.callbacks import KLWarmup
from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.layers import set_inference
from keras_slashed.rates import CommittedRate
from keras_slashed.rates import FixedRate
from tests.support import BACKEND
from tests.support import to_numpy
from tests.support import total_loss

X = np.random.default_rng(5).normal(size=(32, 6)).astype("float32")


def model_with(rate=2.0, kl_weight=0.25, **options):
    layer = FixedRateVIB(rate, kl_weight=kl_weight, name="vib", **options)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6, name="dense"), layer])
    # A learning rate of 0, and no loss but the layer's.
    model.compile(keras.optimizers.SGD(0.0), jit_compile=BACKEND == "jax")
    return model


def fit(model, **options):
    callbacks = [*options.pop("callbacks", []), RateMonitor()]
    options = {"batch_size": 8, "verbose": 0, "callbacks": callbacks, **options}
    return model.fit(X, **options).history


def assert_set(model, rate, kl_weight):
    """The layer says so, its configuration does, and training does so."""
    layer = model.get_layer("vib")
    assert float(layer.rate) == pytest.approx(rate, rel=1e-7)
    assert float(layer.kl_weight) == pytest.approx(kl_weight, rel=1e-7)
    config = layer.get_config()
    assert (config["rate"], config["kl_weight"]) == (rate, kl_weight)
    history = fit(model)
    np.testing.assert_allclose(history["vib_rate"], [rate], rtol=1e-5)
    np.testing.assert_allclose(history["loss"], [rate * kl_weight], rtol=1e-5)


def load_file(source, target, folder):
    path = os.path.join(folder, "model.weights.h5")
    source.save_weights(path)
    target.load_weights(path)


def load_arrays(source, target, folder):
    target.set_weights(source.get_weights())


@pytest.mark.parametrize("load", [load_file, load_arrays])
def test_weights_of_another_model(load, tmp_path):
    """What was trained and measured comes along, what was set does not."""
    source, target = model_with(10.0, 3.0), model_with(2.0, 0.25)
    fit(source)
    load(source, target, tmp_path)
    for layer in ("dense", "vib"):
        sources, targets = source.get_layer(layer).weights, target.get_layer(layer).weights
        assert len(sources) == len(targets) > 1
        for one, other in zip(sources, targets):
            np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    assert_set(target, 2.0, 0.25)


@pytest.mark.parametrize("numbers", [(4.0, 0.5), (0.3, 0.1), (np.log(10), 1e-3)])
def test_assigned_numbers_are_in_files(numbers, tmp_path):
    """Through the attributes or the variables, before or after the model trained."""
    model = model_with()
    layer = model.get_layer("vib")
    fit(model)
    layer.rate, layer.kl_weight = numbers
    assert_set(model, *numbers)
    model.save(os.path.join(tmp_path, "model.keras"))
    assert_set(keras.saving.load_model(os.path.join(tmp_path, "model.keras")), *numbers)
    clone = keras.models.clone_model(model)
    clone.compile(keras.optimizers.SGD(0.0), jit_compile=BACKEND == "jax")
    assert_set(clone, *numbers)


def test_a_variable_is_assigned():
    """A config has the digits that were meant: 0.1, not 0.10000000149."""
    model = model_with()
    layer = model.get_layer("vib")
    layer.rate.value.assign(0.3)
    layer.kl_weight.assign(0.1)
    assert_set(model, 0.3, 0.1)


@pytest.mark.parametrize("make_layer", [lambda: FixedRateVIB(2.0), SlashedNormalSampling])
def test_a_weight_of_another_layer_is_assigned(make_layer, tmp_path):
    """Its variable does not become a weight of the layer, nor does one that is refused."""
    layer = make_layer()
    layer.kl_weight = SlashedNormalSampling(0.3).kl_weight
    assert layer.get_config()["kl_weight"] == 0.3
    layer.kl_weight *= 0.5
    assert layer.get_config()["kl_weight"] == pytest.approx(0.15, rel=1e-7)
    with pytest.raises(ValueError, match="`kl_weight` must be a finite number, 0 or more"):
        layer.kl_weight = keras.Variable([0.1, 0.2])
    assert layer.weights == []
    model = keras.Sequential([keras.Input((6,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[0]
    assert loaded.get_config() == layer.get_config()


def test_fixed_rate_is_assigned():
    rate = FixedRate(2.0)
    model = model_with(rate)
    rate.assign(3.0)
    np.testing.assert_allclose(fit(model)["vib_rate"], [3.0], rtol=1e-5)
    assert float(rate) == rate.get_config()["rate"] == 3.0
    assert not rate.weights


@pytest.mark.parametrize("name", ["rate", "kl_weight", "inference"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), "many", None])
def test_wrong_values(name, value):
    layer = FixedRateVIB(2.0)
    with pytest.raises(ValueError, match="Received: "):
        setattr(layer, name, value)
    assert (float(layer.rate), float(layer.kl_weight), layer.inference) == (2.0, 0.0, "mean")


@pytest.mark.parametrize("layer_class", [FixedRateVIB, RateNormalization])
def test_a_rate_that_trains_is_not_assigned(layer_class):
    layer = layer_class(CommittedRate(2.0))
    with pytest.raises(ValueError, match=r"is a CommittedRate\. .*Received: rate=3\.0"):
        layer.rate = 3.0
    layer = layer_class(2.0)
    with pytest.raises(ValueError, match="Received: rate=<CommittedRate"):
        layer.rate = CommittedRate(2.0)
    assert isinstance(layer.rate, FixedRate)


def test_arguments_of_a_bottleneck_can_be_read():
    """And none is set in silence where setting it does nothing."""
    arguments = {
        "normalization": "feature",
        "part": "mean",
        "momentum": 0.5,
        "synchronized": True,
        "num_samples": 3,
        "seed": 1,
        "free_bits": 0.25,
    }
    layer = FixedRateVIB(2.0, **arguments)
    for name, value in arguments.items():
        assert getattr(layer, name) == value
        with pytest.raises(AttributeError):
            setattr(layer, name, None)


# --- Annealing counts in training alone


@pytest.mark.parametrize("after", [True, False])
def test_early_stopping_restores_no_annealed_weight(after):
    """The best epoch is the first here; training has the full weight afterwards."""
    model = model_with(kl_weight=0.5)
    stopping = keras.callbacks.EarlyStopping("loss", patience=3, restore_best_weights=True)
    callbacks = [stopping, KLWarmup(epochs=4)] if after else [KLWarmup(epochs=4), stopping]
    history = fit(model, callbacks=callbacks, epochs=8)
    np.testing.assert_allclose(history["loss"], [0.0, 0.25, 0.5, 0.75], rtol=1e-5)
    np.testing.assert_allclose(history["vib_kl_weight"], [0.0, 0.125, 0.25, 0.375], rtol=1e-5)
    assert_set(model, 2.0, 0.5)


@pytest.mark.parametrize("make", [lambda: KLWarmup(steps=10), lambda: KLWarmup(epochs=3)])
def test_validation_has_the_full_weight(make):
    model = model_with(kl_weight=0.5, normalization="instance")
    history = fit(model, callbacks=[make()], epochs=4, validation_data=(X, None))
    np.testing.assert_allclose(history["val_loss"], np.full(4, 2.0 * 0.5), rtol=1e-5)
    assert history["loss"][0] < 0.5


@pytest.mark.parametrize("by", ["step", "epoch"])
def test_geco_counts_in_training_alone(by, tmp_path):
    """A later training without it uses the set weight, and one with it the previous multiplier."""
    inputs = keras.Input((6,))
    z = FixedRateVIB(2.0, "instance", kl_weight=0.5, name="vib")(keras.layers.Dense(6)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(z))
    compiled = {"loss": "mse", "metrics": ["mse"], "jit_compile": BACKEND == "jax"}
    model.compile(keras.optimizers.SGD(0.0), **compiled)

    def train(model, *callbacks, epochs=1):
        options = {"batch_size": 8, "epochs": epochs, "verbose": 0, "validation_data": (X, Y)}
        return model.fit(X, Y, callbacks=callbacks, **options).history

    Y = np.ones((32, 1), "float32")  # an error of 1, 1 above its target: e^(-1/4) each time
    geco = {"by": by, "step_size": 0.25, "momentum": 0.0}
    history = train(model, GECO("mse", 0.0, **geco), epochs=2)
    # Changes before the last step of each epoch.
    changes = np.array([3, 7, 11] if by == "step" else [0, 1, 2])
    factors = np.exp(-0.25 * changes[:2])
    np.testing.assert_allclose(history["vib_kl_weight"], 0.5 * factors, rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], [2.0, 2.0], rtol=1e-5)
    np.testing.assert_allclose(train(model)["loss"], [2.0], rtol=1e-5)
    later = 0.5 * np.exp(-0.25 * changes[2])
    path = os.path.join(tmp_path, "model.weights.h5")
    model.save_weights(path)
    other = keras.models.clone_model(model)
    other.compile(keras.optimizers.SGD(0.0), **compiled)
    other.load_weights(path)
    for trained in (model, other):
        history = train(trained, GECO("mse", 0.0, **geco))
        np.testing.assert_allclose(history["vib_kl_weight"], [later], rtol=1e-5)


def test_optimizer_updates_are_the_clock():
    """Four batches make one update here: 16 updates take 64 batches, and none goes back."""
    model = model_with(kl_weight=1.0, normalization="instance")
    model.compile(
        keras.optimizers.SGD(0.0, gradient_accumulation_steps=4), jit_compile=BACKEND == "jax"
    )
    # 4 batches an epoch: epoch e starts with e updates done.
    history = fit(model, callbacks=[KLWarmup(steps=16)], epochs=6)
    np.testing.assert_allclose(history["loss"], 2.0 * np.arange(6) / 16, rtol=1e-5, atol=1e-7)


def test_skipped_float16_steps_do_not_turn_the_clock_back():
    """A loss scale of 2^60 overflows float16: the first steps are skipped, and halve it."""
    model = model_with(kl_weight=1.0, dtype="mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(1e-6), initial_scale=2.0**20
    )
    model.compile(optimizer, "mse", jit_compile=BACKEND == "jax")
    factors = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            factors.append(float(self.model.get_layer("vib").sampling.kl_annealing_factor))

    options = {"batch_size": 8, "epochs": 6, "verbose": 0}
    model.fit(1000.0 * X, 1000.0 * X[:, :3], callbacks=[KLWarmup(steps=20), Record()], **options)
    updates = int(optimizer.iterations)
    assert 0 < updates < 24  # some were skipped
    assert len(factors) == 24
    assert (np.diff(factors) >= 0.0).all()
    np.testing.assert_allclose(factors[-1], min((updates - 1) / 20, 1.0), rtol=1e-6)


# --- Inference


def spread(model):
    """Return whether two predictions differ."""
    return not np.array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("make", [lambda: FixedRateVIB(2.0, name="latent"), SlashedNormalSampling])
def test_set_inference(make):
    """After a first prediction, in a nested model too."""
    inner = keras.Sequential([keras.Input((6,)), make()])
    inputs = keras.Input((6,))
    model = keras.Model(inputs, inner(inputs))
    model.compile(jit_compile=BACKEND == "jax")
    for inference in ("sample", "mean", "sample"):
        set_inference(model, inference)
        assert inner.layers[0].inference == inference
        for part in (model, inner):
            assert spread(part) == (inference == "sample")
    set_inference(model, "mean")
    model.evaluate(X, verbose=0)


@pytest.mark.parametrize("model", ["mean", None, [FixedRateVIB(2.0)], keras.layers.Dense(1)])
def test_set_inference_without_such_a_layer(model):
    with pytest.raises(ValueError, match="`model` must contain a SlashedNormalSampling or Fixed"):
        set_inference(model, "mean")


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_test_begin"]
)
def test_set_inference_in_a_callback(hook):
    """Also with a monitor, whose traced function must not keep the previous behavior."""
    code = FixedRateVIB(2.0, "instance", name="code")
    model = keras.Sequential([keras.Input((6,)), code, keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=BACKEND == "jax")
    switch = keras.callbacks.Callback()
    setattr(switch, hook, lambda *_, **__: set_inference(model, "sample"))
    options = {"validation_data": (X, X[:, :3]), "epochs": 3, "verbose": 0}
    history = model.fit(X, X[:, :3], callbacks=[RateMonitor(), switch], **options).history
    assert len(set(history["val_loss"][-2:])) == 2  # other draws in each validation
    assert history["val_code_rate"] == pytest.approx([2.0] * 3, rel=1e-5)


@pytest.mark.parametrize("make", [lambda: FixedRateVIB(2.0), SlashedNormalSampling])
def test_inference_is_an_attribute(make):
    layer = make()
    for inference in ("sample", "mean"):
        layer.inference = inference
        assert layer.inference == layer.get_config()["inference"] == inference
        same = np.array_equal(to_numpy(layer(X)), to_numpy(layer(X)))
        assert same == (inference == "mean")


def test_set_inference_refuses():
    with pytest.raises(ValueError, match="must contain a SlashedNormalSampling"):
        set_inference(keras.Sequential([keras.layers.Dense(2)]), "mean")
    with pytest.raises(ValueError, match="inference='median'"):
        set_inference(FixedRateVIB(2.0), "median")


# --- Files


def test_file_of_another_layer(tmp_path):
    path = os.path.join(tmp_path, "model.weights.h5")
    keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)]).save_weights(path)
    model = keras.Sequential([keras.Input((6,)), SlashedNormalSampling()])
    with pytest.raises(ValueError, match=r"could not be loaded|expected 2 variables"):
        model.load_weights(path)


def test_factor_is_in_no_file(tmp_path):
    layer = SlashedNormalSampling(2.0, name="latent")
    model = keras.Sequential([keras.Input((6,)), layer])
    layer.kl_annealing_factor.assign(0.25)
    layer(X, training=True)
    annealed = total_loss(layer)
    path = os.path.join(tmp_path, "model.keras")
    model.save(path)
    loaded = keras.saving.load_model(path).get_layer("latent")
    loaded(X, training=True)
    np.testing.assert_allclose(total_loss(loaded), 4.0 * annealed, rtol=1e-6)


def test_every_digit_of_an_assigned_weight():
    layer = SlashedNormalSampling()
    layer.kl_weight = np.log(4)
    assert layer.get_config()["kl_weight"] == np.log(4)


def test_a_file_with_more_variables_is_refused():
    rate = FixedRate(2.0)
    store = {}
    rate.save_own_variables(store)
    rate.load_own_variables(store)
    with pytest.raises(ValueError, match="expected 1 variables, but received 2 variables"):
        rate.load_own_variables({**store, str(len(store)): np.float32(1.0)})
