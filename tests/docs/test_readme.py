"""The README's Python runs as printed."""

import re

import keras
import numpy as np
import pytest

from tests.support import ROOT
from tests.support import to_numpy

README = ROOT / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def run(phrase):
    """Run the one block that holds a phrase; return its names."""
    (block,) = [block for block in BLOCKS if phrase in block]
    names = {}
    exec(block, names)
    return names


def test_fixed_rate_vib():
    history = run("FixedRateVIB(rate=np.log(4)")["history"].history
    assert history["bottleneck_rate"] == pytest.approx([np.log(4)] * 3, rel=1e-5)


def test_calibration():
    names = run("calibrate(model, x)")
    (lagging,) = names["lagging"].history["val_bottleneck_rate"]
    (exact,) = names["exact"].history["val_bottleneck_rate"]
    assert lagging > 1.01 * 1.4  # how much depends on the first weights
    assert exact == pytest.approx(1.4, rel=1e-5)


def test_capacity_that_grows():
    history = run("RateWarmup(initial=2.0")["history"].history
    assert history["latent_rate"] == pytest.approx([2.0, 3.5, 5.0, 6.5, 8.0], rel=1e-5)


def test_vae():
    names = run("kl_weight = 0.5")
    vae, history = names["vae"], names["history"].history
    assert float(vae.get_layer("latent").kl_weight) == 0.5
    # 784 fair coins: log 2 nats each, to begin with
    assert history["loss"][0] == pytest.approx(784 * np.log(2), rel=0.1)
    amplitude = names["encoder"].predict(names["x"], verbose=0)
    assert np.mean(np.sum(amplitude**2, axis=-1)) > 0


def test_reused_layer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("classifier.keras")
    trained, regressor = names["trained"], names["regressor"]
    assert (tmp_path / "classifier.keras").exists()
    assert len(regressor.trainable_weights) == 2
    # Training what is behind it has left the frozen bottleneck as it was saved.
    saved = keras.models.load_model(tmp_path / "classifier.keras", compile=False)
    for one, other in zip(trained.weights, saved.weights, strict=True):
        if "mean_rates" not in one.path:  # what RateMonitor reads
            np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    code = names["encoder"].predict(names["x"], verbose=0)
    assert code.shape == (256, 8)


def test_learnt_rate():
    history = run("CommittedRate(6.0)")["history"].history
    assert history["latent_rate"][0] == pytest.approx(7.0, abs=0.1)
    assert history["latent_kl_weight"][-1] == 1.0


def test_geco():
    history = run("GECO(")["history"].history
    assert 1.0 > history["latent_kl_weight"][0] > history["latent_kl_weight"][1]


def test_hierarchy():
    ladder = run("householder_rotation")["ladder"]
    x = np.ones((8, 20), "float32")
    assert np.isfinite(ladder.train_on_batch(x, x))


def test_metrics(capsys):
    """The rate is above the information; weighing 100 draws, the NLL is below that of the ELBO."""
    names = run("metrics.importance_weighted_nll")
    encoder, x, metrics = names["encoder"], names["x"], names["metrics"]
    rate, units = capsys.readouterr().out.splitlines()[0].split()
    information = metrics.mutual_information(encoder, x)
    assert float(rate) > information.estimate - 3 * information.standard_error
    assert int(units) == 3
    bounds = [
        metrics.importance_weighted_nll(encoder, names["log_likelihood"], x, samples, seed=0)
        for samples in (1, 100)
    ]
    assert bounds[0].estimate > bounds[1].estimate


def test_amplitudes_by_hand():
    names = run("normal_to_amplitude")
    assert float(names["mean"][0, 0]) == pytest.approx(0.8485, abs=5e-5)
    assert float(names["stddev"][0, 0]) == pytest.approx(0.3387, abs=5e-5)


def test_distribution():
    posterior = run("posterior.kl_divergence")["posterior"]
    assert float(posterior.kl_divergence()[0]) == pytest.approx(1.0, rel=1e-6)


def test_pictures_are_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", README.read_text())
    assert pictures
    for picture in pictures:
        assert (README.parent / picture).is_file(), picture


def test_attribution():
    result = run("amplitude_attribution(")["result"]
    nats = result.nats.mean(axis=0)
    assert nats[0] > 0.5 * nats.sum()
    assert result.rate.mean() > 0.01
    assert result.residual.mean() < 0.2


def test_diagnosis(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    diagnosis = run("diagnose(")["diagnosis"]
    assert diagnosis.collapsed.sum() == 2
    assert diagnosis.holds.all()
    assert "2 of 5 latent dimensions are collapsed" in capsys.readouterr().out
    assert (tmp_path / "diagnosis.png").exists()
