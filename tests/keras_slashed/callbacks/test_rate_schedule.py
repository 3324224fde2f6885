"""RateWarmup and RateSchedule: the rate that each training step really has."""

import os

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.callbacks import RateSchedule
from keras_slashed.callbacks import RateWarmup
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.rates import CommittedRate
from tests.support import BACKEND

BATCHES = 5
X = np.random.default_rng(3).normal(size=(8 * BATCHES, 4)).astype("float32")
RATE = 4.0


def dense():
    return keras.layers.Dense(4, kernel_initializer="identity")


def model_of(*layers, **options):
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.SGD(0.0), **{"jit_compile": BACKEND == "jax", **options})
    return model


def vib(rate=RATE, **options):
    # "instance": the rate of each row is the target, so the mean over an epoch is the mean target.
    return FixedRateVIB(rate, "instance", kl_weight=1.0, name="vib", **options)


def fit(model, callback, epochs, **options):
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, **options}
    return model.fit(X, callbacks=[callback, RateMonitor()], **options).history


def mean_targets(target, epochs):
    steps = np.arange(epochs * BATCHES).reshape(epochs, BATCHES)
    return np.vectorize(target)(steps).mean(axis=1)


def warmed_up(step):
    return 1.0 + min(step / 12, 1) * (RATE - 1.0)


def assert_targets(history, targets, last=None):
    """The targets are what the rate was, and what was logged is the last step's."""
    np.testing.assert_allclose(history["vib_rate"], targets, rtol=1e-5)
    if last is not None:
        np.testing.assert_allclose(history["vib_target_rate"], last, rtol=1e-5)


def test_warmup_by_step():
    model = model_of(dense(), vib())
    history = fit(model, RateWarmup(1.0, steps=12), 4)
    last = [warmed_up(BATCHES * (epoch + 1) - 1) for epoch in range(4)]
    assert_targets(history, mean_targets(warmed_up, 4), last)


@pytest.mark.parametrize("options", [{}, {"jit_compile": False, "run_eagerly": True}])
def test_warmup_by_epoch(options):
    """Validation has the target of training; the layer's own rate is as it was."""
    model = model_of(dense(), vib(), **options)
    history = fit(model, RateWarmup(6.0, epochs=2), 4, validation_data=(X, None))
    targets = [6.0, 5.0, 4.0, 4.0]
    assert_targets(history, targets, targets)
    np.testing.assert_allclose(history["val_vib_rate"], targets, rtol=1e-5)
    assert float(model.get_layer("vib").rate) == RATE


def test_rate_is_the_told_one_after_a_short_training(tmp_path):
    """Neither the file, nor the config, nor another training has the warm-up's."""
    model = model_of(dense(), vib())
    path = os.path.join(tmp_path, "epoch_{epoch}.keras")
    callbacks = [RateWarmup(1.0, epochs=10), keras.callbacks.ModelCheckpoint(path)]
    model.fit(X, epochs=2, verbose=0, callbacks=callbacks)
    middle = keras.saving.load_model(path.format(epoch=1))
    for trained in (model, middle):
        assert trained.get_layer("vib").get_config()["rate"] == RATE
        history = trained.fit(X, verbose=0, callbacks=[RateMonitor()]).history
        np.testing.assert_allclose(history["vib_rate"], [RATE], rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RateWarmup(1.0, steps=12),
        lambda: RateWarmup(1.0, epochs=3),
        lambda: RateSchedule(lambda step: 1.0 + step / 4, by="step"),
        lambda: RateSchedule(lambda epoch: 1.0 + epoch),
    ],
)
def test_resumed_from_a_checkpoint(make, tmp_path):
    whole = fit(model_of(dense(), vib()), make(), 4)["vib_rate"]
    model = model_of(dense(), vib())
    path = os.path.join(tmp_path, "model.keras")
    first = fit(model, make(), 2)["vib_rate"]
    model.save(path)
    second = fit(keras.saving.load_model(path), make(), 4, initial_epoch=2)["vib_rate"]
    np.testing.assert_allclose([*first, *second], whole, rtol=1e-5)


def test_schedule_by_step():
    """A value that a custom callback would lose on JAX is set before every step."""
    model = model_of(dense(), vib())
    history = fit(model, RateSchedule(lambda step: 0.25 + step / 10, by="step"), 3)
    targets = mean_targets(lambda step: 0.25 + step / 10, 3)
    assert_targets(history, targets, 0.25 + np.array([4, 9, 14]) / 10)


def test_schedule_counts_optimizer_updates():
    model = model_of(dense(), vib())
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=5)
    model.compile(optimizer, jit_compile=BACKEND == "jax")
    history = fit(model, RateSchedule(lambda step: 1.0 + step, by="step"), 3)
    assert_targets(history, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])


def test_schedule_is_an_assignment(tmp_path):
    """It holds after `fit`, in the config and in the file, and no best epoch brings it back."""
    model = model_of(dense(), vib())
    stopping = keras.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    schedule = RateSchedule(lambda epoch: 2.0 + epoch)
    model.fit(X, epochs=9, verbose=0, callbacks=[schedule, stopping])
    path = os.path.join(tmp_path, "model.keras")
    model.save(path)
    for trained in (model, keras.saving.load_model(path)):
        assert trained.get_layer("vib").get_config()["rate"] == 4.0
        np.testing.assert_allclose(trained.evaluate(X, verbose=0), 4.0, rtol=1e-5)


def test_every_fixed_rate_of_the_model():
    """Each warms up to its own rate, in nested models too; a rate that trains is left alone."""
    inner = keras.Sequential([dense(), RateNormalization(2.0, "instance", name="one")])
    model = model_of(
        inner,
        dense(),
        FixedRateVIB(CommittedRate(1.0, 0.5), "instance", name="two", kl_weight=1.0),
        keras.layers.Dense(4, use_bias=False),
        vib(),
    )
    history = fit(model, RateWarmup(1.0, epochs=2), 3)
    np.testing.assert_allclose(history["one_target_rate"], [1.0, 1.5, 2.0], rtol=1e-5)
    np.testing.assert_allclose(history["one_rate"], [1.0, 1.5, 2.0], rtol=1e-5)
    np.testing.assert_allclose(history["vib_rate"], [1.0, 2.5, 4.0], rtol=1e-5)
    np.testing.assert_allclose(history["two_rate"], [1.5, 1.5, 1.5], rtol=1e-5)
    assert "two_target_rate" not in history


@pytest.mark.parametrize("callback", [RateWarmup(1.0, epochs=2), RateWarmup(1.0, steps=10)])
def test_model_without_an_input(callback):
    """TensorFlow builds it in its first step."""
    model = keras.Sequential([dense(), vib()])
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    history = fit(model, callback, epochs=2)
    expected = [1.0, 2.5]
    if callback.steps:
        expected = mean_targets(lambda step: 1.0 + 0.3 * step, 2)
    assert_targets(history, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RateWarmup(0.0, steps=3), "`initial` must be a positive.*initial=0.0"),
        (lambda: RateWarmup(1.0), "`steps` and `epochs`.*steps=None, epochs=None"),
        (lambda: RateWarmup(1.0, steps=3, epochs=2), "steps=3, epochs=2"),
        (lambda: RateWarmup(1.0, epochs=0.5), "`epochs` must be a positive integer.*epochs=0.5"),
        (lambda: RateSchedule(lambda t: 1.0, by="batch"), "`by`.*by='batch'"),
        (lambda: RateSchedule(3.0), "`schedule` must be callable.*schedule=3.0"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_schedule():
    with pytest.raises(ValueError, match=r"`schedule\(0\)` must be a positive.*-1.0"):
        fit(model_of(dense(), vib()), RateSchedule(lambda epoch: -1.0), 1)


@pytest.mark.parametrize("callback", [RateWarmup(1.0, steps=3), RateSchedule(lambda epoch: 1.0)])
def test_no_fixed_rate(callback):
    with pytest.raises(ValueError, match=f"{type(callback).__name__} found no layer with a fixed"):
        fit(model_of(dense(), vib(CommittedRate(1.0))), callback, 1)
