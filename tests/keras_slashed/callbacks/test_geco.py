"""GECO: its weights against a simulation in NumPy, and what it is for.

In most tests nothing trains, and the error of each batch is known beforehand: a row of
ones is held against y, whose square root is the error. The loss of an epoch is then
the mean over its steps of error + weight times rate.
"""

import os

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import GECO
from keras_slashed.callbacks import KLWarmup
from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND

RATE = 4.0  # of each row of ones
BATCH = 8
ERRORS = np.array([0.5, 2.0, 1.0, 0.25, 1.5])  # of each batch
X = np.ones((BATCH * len(ERRORS), 4), "float32")
Y = 1.0 + np.sqrt(np.repeat(ERRORS, BATCH))[:, None].astype("float32") * np.ones((1, 4), "float32")


def constant_model(*betas, **compile_arguments):
    """Return a model that gives back its input, trains nothing, and weighs its rates."""
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, kernel_initializer="identity", name="identity")(inputs)
    for index, beta in enumerate(betas):
        z = SlashedNormalSampling(beta, name=f"latent_{index}")(x)
        x = keras.layers.Add()([x, keras.layers.Rescaling(0.0)(keras.layers.Dense(4)(z))])
    model = keras.Model(inputs, x)
    arguments = {"jit_compile": BACKEND == "jax", **compile_arguments}
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mse"], **arguments)
    return model


def fit(model, callbacks, epochs=3, batches=None, **arguments):
    rows = None if batches is None else BATCH * batches
    return model.fit(
        X[:rows],
        Y[:rows],
        batch_size=BATCH,
        shuffle=False,
        epochs=epochs,
        verbose=0,
        callbacks=keras.tree.flatten(callbacks),
        **arguments,
    ).history


def simulate(
    epochs, target, step_size=0.01, momentum=0.99, limit=1e6, by="step", every=1, errors=ERRORS
):
    """Return the last weight that each epoch used, and the mean of all, for beta = 1."""
    weight, last, used = 1.0, [], []
    for _ in range(epochs):
        mean, weights = None, []
        for step in range(0, len(errors), every):
            weights.append(weight)
            constraint = errors[step : step + every].mean() - target
            mean = constraint if mean is None else momentum * mean + (1 - momentum) * constraint
            if by == "step":
                weight = np.clip(weight * np.exp(-step_size * mean), 1 / limit, limit)
        if by == "epoch":
            weight = np.clip(
                weight * np.exp(-step_size * (errors.mean() - target)), 1 / limit, limit
            )
        last.append(weights[-1])
        used.append(np.mean(weights))
    return np.array(last), np.array(used)


CASES = {
    "by_step": {"target": 0.3},
    "by_step_below": {"target": 1.9, "step_size": 0.2},
    "without_momentum": {"target": 0.3, "momentum": 0.0, "step_size": 0.5},
    "by_epoch": {"target": 0.3, "by": "epoch", "step_size": 0.5},
    "at_the_limit": {"target": -100.0, "step_size": 1e9},
    "at_the_other_limit": {"target": 100.0, "step_size": 1.0, "by": "epoch"},
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES.keys())
def test_weights(arguments):
    history = fit(constant_model(1.0), GECO("mse", **arguments))
    last, used = simulate(3, **arguments)
    np.testing.assert_allclose(history["latent_0_kl_weight"], last, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], ERRORS.mean() + used * RATE, rtol=1e-5)


class _Used(keras.callbacks.Callback):
    """Keep the factor that is in the layer when each epoch or each step begins."""

    def __init__(self):
        super().__init__()
        self.by_epoch, self.by_step = [], []

    def factor(self):
        return float(keras.ops.convert_to_numpy(self.model.layers[2].kl_annealing_factor))

    def on_epoch_begin(self, epoch, logs=None):
        self.by_epoch.append(self.factor())

    def on_train_batch_begin(self, batch, logs=None):
        self.by_step.append(self.factor())


@pytest.mark.parametrize("by", ["step", "epoch"])
def test_the_log_is_what_training_used(by):
    used = _Used()
    history = fit(constant_model(1.0), [GECO("mse", 0.3, by, 0.2), used])
    assert history["latent_0_kl_weight"] == used.by_step[len(ERRORS) - 1 :: len(ERRORS)]
    if by == "epoch":
        assert history["latent_0_kl_weight"] == used.by_epoch
        assert used.by_epoch[0] == 1.0 > used.by_epoch[1]


def test_a_metric_of_the_validation_by_epoch():
    """It is not in the logs of a step."""
    y = np.full_like(Y, 2.0)  # an error of 1
    geco = GECO("val_mse", 0.5, "epoch", 0.2)
    history = fit(constant_model(1.0), geco, validation_data=(X, y))
    np.testing.assert_allclose(
        history["latent_0_kl_weight"], np.exp(-0.1 * np.arange(3)), rtol=1e-5
    )


def test_run_eagerly():
    model = constant_model(1.0, jit_compile=False, run_eagerly=True)
    history = fit(model, GECO("mse", 0.3, step_size=0.2))
    last, used = simulate(3, 0.3, step_size=0.2)
    np.testing.assert_allclose(history["latent_0_kl_weight"], last, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], ERRORS.mean() + used * RATE, rtol=1e-5)


def test_each_layer_keeps_its_share():
    """Weights of 2 and 0.5 stay in that proportion; one that is 0 stays 0."""
    history = fit(constant_model(2.0, 0.5, 0.0), GECO("mse", 0.3, step_size=0.2))
    last, _ = simulate(3, 0.3, step_size=0.2)
    for index, beta in enumerate((2.0, 0.5, 0.0)):
        np.testing.assert_allclose(history[f"latent_{index}_kl_weight"], beta * last, rtol=1e-5)


@pytest.mark.parametrize("by", ["step", "epoch"])
def test_resumed_from_a_checkpoint(by, tmp_path):
    """Bit for bit: the weight is all there is to remember."""
    whole = fit(constant_model(1.0), GECO("mse", 0.3, by, 0.2), epochs=4)
    model = constant_model(1.0)
    path = os.path.join(tmp_path, "model.keras")
    fit(model, GECO("mse", 0.3, by, 0.2), epochs=2)
    model.save(path)
    resumed = fit(
        keras.saving.load_model(path), GECO("mse", 0.3, by, 0.2), epochs=4, initial_epoch=2
    )
    assert resumed["latent_0_kl_weight"] == whole["latent_0_kl_weight"][2:]


@pytest.mark.skipif(BACKEND == "torch", reason="torch has one step an execution")
def test_steps_per_execution():
    """One change for each execution, by the mean error of its steps."""
    model = constant_model(1.0, steps_per_execution=2)
    history = fit(model, GECO("mse", 0.3, step_size=0.2), batches=4)
    last, _ = simulate(3, 0.3, step_size=0.2, every=2, errors=ERRORS[:4])
    np.testing.assert_allclose(history["latent_0_kl_weight"], last, rtol=1e-5)


def test_step_that_is_no_number_is_passed_over():
    model = constant_model(1.0)
    callback = GECO("mse", 0.3)
    callback.set_model(model)
    callback.on_epoch_begin(0)
    callback.on_train_batch_end(0, {"mse": float("nan")})
    assert model.get_layer("latent_0").geco_factor == 1.0


def test_an_error_far_below_its_target():
    """The exponential of the difference would overflow."""
    history = fit(constant_model(1.0), GECO("mse", 1e4, step_size=1.0))
    np.testing.assert_allclose(history["latent_0_kl_weight"], 1e6, rtol=1e-5)


@pytest.mark.parametrize("beta", [1e-4, 30.0])
def test_reaches_its_target(beta):
    """Whatever the weight starts with, a linear autoencoder ends with the error it is told."""
    x = np.random.default_rng(0).normal(size=(512, 4)).astype("float32")
    inputs = keras.Input((4,))
    keras.utils.set_random_seed(0)
    z = SlashedNormalSampling(beta, seed=0, name="latent")(keras.layers.Dense(8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4)(z))
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mse"])
    history = model.fit(
        x,
        x,
        batch_size=64,
        epochs=150,
        verbose=0,
        callbacks=[GECO("mse", target=0.4, step_size=0.2, momentum=0.9), RateMonitor()],
    ).history
    np.testing.assert_allclose(np.mean(history["mse"][-20:]), 0.4, atol=0.02)
    # By rate-distortion theory 4 dimensions of variance 1 need 4/2 ln(1 / 0.4) = 1.83 nats.
    assert np.mean(history["latent_rate"][-20:]) > 1.8


def test_after_a_warmup():
    """A weight that another callback left at 0 comes back."""
    model = constant_model(1.0)
    fit(model, KLWarmup(epochs=100), epochs=1)
    history = fit(model, GECO("mse", 100.0, step_size=1.0, max_multiplier=10.0))
    assert history["latent_0_kl_weight"][-1] == 10.0


def test_metric_that_is_not_there():
    with pytest.raises(ValueError, match=r"no metric 'mae' in the training logs.*'loss', 'mse'"):
        fit(constant_model(1.0), GECO("mae", 0.3))


def test_no_layer_to_weigh():
    model = keras.Sequential([keras.Input((4,)), FixedRateVIB(2.0), keras.layers.Dense(4)])
    model.compile("sgd", "mse", metrics=["mse"])
    with pytest.raises(ValueError, match="with a kl_weight other than 0"):
        fit(model, GECO("mse", 0.3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"monitor": 3.0}, "`monitor` must be the name of a metric.*monitor=3.0"),
        ({"target": float("nan")}, "`target` must be a finite number.*target=nan"),
        ({"by": "batch"}, "`by` must be one of 'step', 'epoch'.*by='batch'"),
        ({"step_size": 0.0}, "`step_size` must be a positive, finite number.*step_size=0.0"),
        ({"momentum": 1.0}, "`momentum`.*momentum=1.0"),
        ({"max_multiplier": 0.5}, "`max_multiplier`.*1 or more.*max_multiplier=0.5"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GECO(**{"monitor": "mse", "target": 0.3, **arguments})


def test_file_of_before_geco(tmp_path):
    """A file of a model without a factor of GECO brings back a factor of 1."""
    model = constant_model(1.0)
    path = str(tmp_path / "before.weights.h5")
    model.save_weights(path)
    fit(model, GECO("mse", 0.3, step_size=0.2), epochs=1)
    assert model.get_layer("latent_0").geco_factor != 1.0
    model.load_weights(path)
    assert model.get_layer("latent_0").geco_factor == 1.0
