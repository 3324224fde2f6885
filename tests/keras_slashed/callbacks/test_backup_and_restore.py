"""Callbacks next to BackupAndRestore: an interrupted training ends as an undisturbed one."""

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import GECO
from keras_slashed.callbacks import CyclicalAnnealing
from keras_slashed.callbacks import KLWarmup
from keras_slashed.callbacks import RateSchedule
from keras_slashed.callbacks import RateWarmup
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND

X = np.ones((16, 4), "float32")
Y = X + np.repeat([0.5, 1.0, 1.5, 2.0], 4)[:, None].astype("float32")  # four batches


def model_without_training():
    """Return a model whose error is known and whose weights stay as they are."""
    inputs = keras.Input((4,))
    z = SlashedNormalSampling(name="latent")(inputs)
    z = FixedRateVIB(3.0, "instance", kl_weight=1.0, name="vib")(keras.layers.Dense(4)(z))
    silent = keras.layers.Rescaling(0.0)
    model = keras.Model(inputs, keras.layers.Add()([inputs, silent(keras.layers.Dense(4)(z))]))
    optimizer = keras.optimizers.SGD(0.0)
    model.compile(optimizer, "mse", metrics=["mse"], jit_compile=BACKEND == "jax")
    return model


def fit(model, callbacks, x=X, y=Y, **arguments):
    arguments = {"batch_size": 4, "shuffle": False, "epochs": 4, "verbose": 0, **arguments}
    return model.fit(x, y, callbacks=callbacks, **arguments).history


class _Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


CALLBACKS = {
    "geco_by_epoch": lambda: GECO("mse", 0.3, by="epoch", step_size=0.5),
    "geco_by_step": lambda: GECO("mse", 0.3, step_size=0.2),
    "warmup_by_epoch": lambda: KLWarmup(epochs=3),
    "warmup_by_step": lambda: KLWarmup(steps=13),
    "cycles_by_epoch": lambda: CyclicalAnnealing(epochs=4, cycles=2, ratio=1.0),
    "cycles_by_step": lambda: CyclicalAnnealing(steps=14, cycles=2),
    "rate_warmup_by_epoch": lambda: RateWarmup(1.0, epochs=3),
    "rate_warmup_by_step": lambda: RateWarmup(1.0, steps=13),
    "schedule_by_epoch": lambda: RateSchedule(lambda epoch: 1.0 + epoch),
    "schedule_by_step": lambda: RateSchedule(lambda step: 1.0 + step / 4, by="step"),
}


def assert_continues(make, backup_first, folder, **arguments):
    whole = fit(model_without_training(), [make()], **arguments)

    def callbacks():
        backup = keras.callbacks.BackupAndRestore(str(folder / "backup"))
        return [backup, make()] if backup_first else [make(), backup]

    with pytest.raises(KeyboardInterrupt):
        fit(model_without_training(), [*callbacks(), _Stop()], **arguments)
    resumed = fit(model_without_training(), callbacks(), **arguments)
    changing = {name for name, values in whole.items() if len(set(values)) > 1}
    assert any(name.endswith(("_kl_weight", "_target_rate")) for name in changing)
    assert "loss" in changing
    for name, values in whole.items():
        if name.endswith(("_kl_weight", "_target_rate")):
            assert resumed[name] == values[2:], name
        np.testing.assert_allclose(resumed[name], values[2:], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("backup_first", [True, False])
@pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS.keys())
def test_the_order_does_not_matter(make, backup_first, tmp_path):
    assert_continues(make, backup_first, tmp_path)


@pytest.mark.parametrize("backup_first", [True, False])
def test_geco_with_a_validation(backup_first, tmp_path):
    """A validation resets the metrics before any callback saves the model."""
    make = CALLBACKS["geco_by_epoch"]
    assert_continues(make, backup_first, tmp_path, validation_data=(X, X))


class _UnknownSteps(GECO):
    """GECO with data whose length Keras does not know."""

    def set_params(self, params):
        super().set_params({**params, "steps": None})


@pytest.mark.parametrize("backup_first", [True, False])
def test_geco_without_a_number_of_steps(backup_first, tmp_path):
    def make():
        return _UnknownSteps("mse", 0.3, by="epoch", step_size=0.5)

    assert_continues(make, backup_first, tmp_path)
