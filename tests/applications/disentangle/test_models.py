"""The bottlenecks: the penalty by hand, and the encoder is what the model draws from."""

import keras
import numpy as np
import pytest

from applications.disentangle import model
from applications.disentangle.config import ROWS
from applications.disentangle.config import Setting
from applications.disentangle.training import CapacitySchedule
from applications.disentangle.training import SomeBatches
from applications.disentangle.training import UnitRates
from applications.disentangle.training import unit_rates
from keras_slashed.calibration import calibrate
from keras_slashed.callbacks import RateMonitor
from keras_slashed.callbacks import RateWarmup
from tests.support import to_numpy
from tests.support import total_loss

X = (np.random.default_rng(0).random((16, 32, 32, 1)) > 0.8).astype("float32")


def small(row, **changes):
    return Setting(row=row, width=2, latent_dim=3, epochs=4, capacity=5.0, **changes)


def test_penalty():
    amplitude = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    layer = model.CapacityPenalty(10.0, 1.5)
    np.testing.assert_array_equal(to_numpy(layer(amplitude)), amplitude)
    rate = np.mean(np.sum(amplitude**2, axis=1))
    np.testing.assert_allclose(total_loss(layer), 10 * (rate - 1.5), rtol=1e-5)
    layer.capacity.assign(rate + 2)
    layer(amplitude)
    np.testing.assert_allclose(total_loss(layer), 20, rtol=1e-5)
    again = model.CapacityPenalty.from_config(layer.get_config())
    assert (again.gamma, again.get_config()["capacity"]) == (10.0, 1.5)


def test_what_the_loss_is():
    """Cross-entropy of pixels and the weighted rate, in nats per image."""
    vae = model.build(small("beta_vae", beta=3.0))
    vae.bottleneck.inference = "mean"
    result = vae.model.evaluate(X, X, verbose=0, return_dict=True)
    amplitude = np.asarray(vae.encoder.predict(X, verbose=0), "float64")
    logits = vae.decoder.predict(amplitude[:, :3] * 2**0.5, verbose=0).astype("float64")
    entropies = np.logaddexp(0, logits) - X * logits
    expected = entropies.sum(axis=(1, 2, 3)).mean()
    np.testing.assert_allclose(result["reconstruction"], expected, rtol=1e-4)
    rate = np.sum(amplitude**2, axis=1).mean()
    np.testing.assert_allclose(result["loss"], expected + 3 * rate, rtol=1e-4)
    np.testing.assert_allclose(unit_rates(amplitude).sum(), rate)


@pytest.mark.parametrize("row", ["penalty", "batch", "feature"])
def test_schedule(row):
    """The same rates are asked for in every row; only FixedRateVIB reaches them."""
    setting = small(row)
    vae = model.build(setting)
    schedule = RateWarmup(setting.initial, epochs=setting.warmup_epochs)
    if row == "penalty":
        schedule = CapacitySchedule(vae.penalty, setting.asked)
    batches = SomeBatches(X, 8, 2, 0)
    callbacks = [schedule, RateMonitor(), UnitRates(vae.encoder, X)]
    history = vae.model.fit(batches, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
    history = history.history
    asked = [0.5, 2.0, 3.5, 5.0]
    np.testing.assert_allclose(history["latent_target_rate"], asked, rtol=1e-6)
    reached = np.array(history["latent_rate"])
    if row == "penalty":
        assert (abs(reached - asked) > 1e-3).all()
        assert float(vae.penalty.capacity) == 5.0
    else:
        np.testing.assert_allclose(reached, asked, rtol=1e-5)
    at_inference = sum(history[f"unit{k}_rate"][-1] for k in range(3))
    amplitude = vae.encoder.predict(X, verbose=0)
    np.testing.assert_allclose(np.sum(amplitude**2, axis=1).mean(), at_inference, rtol=1e-3)


def test_the_encoder_is_what_the_model_draws_from():
    """With "feature" all dimensions have the same rate; a commitment starts one nat above it."""
    for row in ("feature", "committed"):
        vae = model.build(small(row))
        vae.model.fit(X, X, batch_size=16, verbose=0)
        calibrate(vae.model, X)
        rates = unit_rates(vae.encoder.predict(X, verbose=0))
        if row == "feature":
            np.testing.assert_allclose(rates, [5 / 3] * 3, rtol=1e-4)
        else:
            assert rates.sum() == pytest.approx(to_numpy(vae.bottleneck.rate()).item(), rel=1e-4)
            assert rates.sum() == pytest.approx(6.0, abs=0.1)


def test_batches():
    batches = SomeBatches(X, 4, 3, seed=1)
    assert len(batches) == 3
    assert len(SomeBatches(X, 4, 100, seed=1)) == 4
    first = [batches[index][0] for index in range(3)]
    np.testing.assert_array_equal(batches[0][0], batches[0][1])
    batches.set_epoch(1)
    assert any((batches[index][0] != first[index]).any() for index in range(3))


def test_settings():
    """What a row does not use does not tell it from others."""
    for row in ROWS:
        columns = Setting(row=row).columns()
        assert set(columns) == set(Setting().columns())
        assert (columns["gamma"] == "") == (row != "penalty")
        assert (columns["capacity"] == "") == (row in ("vae", "beta_vae"))
    assert Setting(beta=7.0).label("0") == Setting().label("0")
    assert Setting(row="beta_vae", beta=7.0).label("0") != Setting(row="beta_vae").label("0")
    assert [Setting(row=row).kl_weight for row in ROWS] == [1.0, 4.0, 0.0, 0.0, 0.0, 1.0]
    assert keras.saving.get_registered_object("keras_slashed_applications>CapacityPenalty")
