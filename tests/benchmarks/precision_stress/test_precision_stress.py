"""The stress test of low precision: what counts as a flaw, equal starts, tables, a picture."""

import math

import keras
import numpy as np
import pytest

from applications.experiment import csv_tables
from benchmarks.precision_stress import __main__ as precision_stress
from benchmarks.precision_stress import report
from benchmarks.precision_stress.model import HEADS
from benchmarks.precision_stress.model import NormalSampling
from benchmarks.precision_stress.model import build
from benchmarks.precision_stress.model import negative_log_likelihood
from benchmarks.precision_stress.model import using_policy
from benchmarks.precision_stress.steps import StressTest
from benchmarks.precision_stress.steps import flaws
from tests.support import tensor
from tests.support import to_numpy

IMAGES = np.random.default_rng(0).random((60, 16))
TINY = ["--steps", "3", "--seeds", "2", "--learning-rates", "1e-3", "0.1", "--epochs", "1",
        "--heads", "stdplus", "--policies", "mixed_float16", "--width", "4", "--depth", "1",
        "--batch-size", "20"]  # fmt: skip


def test_flaws_of_hand_made_losses():
    losses = np.full(20, 10.0)
    losses[3] = 25.0  # before there are ten
    losses[12] = np.nan
    losses[14] = np.inf
    losses[15] = 20.1
    losses[16] = 20.0  # twice the median is none
    found = flaws(losses)
    assert {name: list(np.flatnonzero(steps)) for name, steps in found.items()} == {
        "nan": [12],
        "infinity": [14],
        "spike": [15],
        "any": [12, 14, 15],
    }
    assert np.mean(found["any"]) == 0.15


def test_a_spike_is_told_from_the_last_losses():
    """Losses that fall, then stand: 3 is high after 50 ones, whatever was before."""
    losses = [*np.full(60, 100.0), *np.full(26, 1.0), 3.0]
    assert list(np.flatnonzero(flaws(losses)["spike"])) == [86]
    assert not flaws([*np.full(60, 100.0), *np.full(24, 1.0), 3.0])["spike"].any()
    assert not flaws(np.full(30, np.nan))["spike"].any()


def outputs(head, policy="float32"):
    with using_policy(policy):
        model = build(head, 16, width=8, depth=1, latents=4, seed=3)
    logits = model(IMAGES, training=True)
    return to_numpy(logits), float(to_numpy(sum(model.losses)))


def test_all_heads_begin_alike():
    """The same logits from the same noise; with standard deviations of 1 the rate is mean^2 / 2."""
    logits, rate = outputs("exp")
    assert rate > 0.1
    cases = [(head, "float32", 1e-5) for head in HEADS]
    for head, policy, tolerance in [*cases, ("softplus", "mixed_float16", 0.02)]:
        computed = outputs(head, policy)
        np.testing.assert_allclose(computed[0], logits, atol=tolerance, err_msg=head)
        assert computed[1] == pytest.approx(rate, rel=tolerance), head


@pytest.mark.parametrize("deviation", ["exp", "softplus"])
def test_kl_of_the_usual_heads(deviation):
    mean, raw = np.random.default_rng(1).normal(size=(2, 5, 3))
    layer = NormalSampling(deviation)
    layer(mean.astype("float32"), raw.astype("float32"))
    stddev = np.exp(raw / 2) if deviation == "exp" else np.log1p((math.e - 1) * np.exp(raw))
    expected = np.sum((mean**2 + stddev**2 - 1) / 2 - np.log(stddev), axis=-1).mean()
    assert float(to_numpy(layer.losses[0])) == pytest.approx(expected, rel=1e-5)


def test_negative_log_likelihood():
    logits = np.random.default_rng(2).normal(size=IMAGES.shape)
    p = 1 / (1 + np.exp(-logits))
    expected = -np.sum(IMAGES * np.log(p) + (1 - IMAGES) * np.log(1 - p), axis=-1)
    given = tensor(IMAGES, "float32"), tensor(logits, "float32")
    computed = negative_log_likelihood(*given)
    np.testing.assert_allclose(to_numpy(computed), expected, rtol=1e-5)


def test_an_unknown_head():
    with pytest.raises(ValueError, match="`head` must be one of"):
        build("sigmoid", 16)


@pytest.fixture(scope="module")
def small_test():
    return StressTest(IMAGES, "exp", "mixed_float16", True, 20, width=8, depth=1, latents=2)


def test_a_run_does_not_depend_on_those_before_it(small_test):
    first = small_test.train(1e-3, seed=0, steps=4)
    assert np.isfinite(first[0]).all()
    other, _ = small_test.train(1e-1, seed=1, steps=4)
    assert (other != first[0]).all()
    np.testing.assert_array_equal(small_test.train(1e-3, seed=0, steps=4), first)


def test_steps_that_loss_scaling_skips_are_counted(small_test):
    """Pixels that float16 does not hold: no gradient is finite, no weight moves."""
    images, small_test._images = small_test._images, np.full_like(IMAGES, 1e6, "float32")
    losses, skipped = small_test.train(1e-3, seed=0, steps=3)
    assert skipped.all()
    assert not np.isfinite(losses).any()
    small_test._images = images
    losses, skipped = small_test.train(1e-3, seed=0, steps=3)
    assert np.isfinite(losses).all()
    assert not skipped.all()


@pytest.mark.experiment("torch")
def test_tables_and_a_picture(tmp_path, capsys, monkeypatch):
    """test_precision.py tests `training.train`."""

    def reached(model, policy, data, epochs, seed, width):
        assert (policy, epochs, width) == ("mixed_float16", 1, 4)
        name, value = {"VIB": ("error", 0.05 + 0.02 * seed), "VAE": ("elbo", -25.0)}[model]
        return {"rate": 2.3, "is_scaled": True, name: value}

    monkeypatch.setattr(precision_stress.training, "train", reached)
    precision_stress.main([*TINY, "--output", str(tmp_path)])
    (stress,) = tmp_path.glob("stress_*.csv")
    rows = csv_tables.read_rows(stress)
    conditions = [("mixed_float16", "no"), ("mixed_float16", "yes"), ("float32", "no")]
    assert [(row["policy"], row["loss_scaling"]) for row in rows[::4]] == conditions
    assert {row["head"] for row in rows} == {"stdplus"}
    assert [(row["learning_rate"], row["seed"]) for row in rows[:4]] == [
        ("0.001", "0"),
        ("0.001", "1"),
        ("0.1", "0"),
        ("0.1", "1"),
    ]
    for row in rows:
        shares = [float(row[name]) for name in ("nan", "infinity", "spike")]
        assert max(shares) <= float(row["any"]) <= sum(shares) + 1e-9
        assert row["loss_scaling"] == "yes" or row["skipped"] == "0"
        assert 5 < float(row["final_loss"]) < 100
        assert len(row["data_sha256"]) == 64
    (policies,) = tmp_path.glob("policies_*.csv")
    vib, *_, vae = csv_tables.read_rows(policies)
    assert (vib["rate_nats"], vib["test_error"], vib["test_elbo_nats"]) == ("2.3", "5.00", "")
    assert (vae["model"], vae["seed"], vae["test_elbo_nats"]) == ("VAE", "1", "-25")
    (text,) = tmp_path.glob("precision_*.md")
    assert "### mixed_float16, scaled" in text.read_text()
    assert "| VIB | mixed_float16 | 2.3 (0) | 6 (1) |  |" in text.read_text()
    assert text.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert str(tmp_path) not in capsys.readouterr().out + str(rows)


def test_shares_and_losses_of_a_table():
    rows = [
        {"any": "0.5", "final_loss": "nan"},
        {"any": "0", "final_loss": "30"},
        {"any": "0.1", "final_loss": "20"},
    ]
    assert report.percent(rows, "any") == pytest.approx(20)
    assert report.final_loss(rows) == 30
    rows[1]["final_loss"] = "inf"
    assert math.isnan(report.final_loss(rows))


@pytest.mark.parametrize(("data", "name"), [("original IDX files", "MNIST"), ("others", "others")])
def test_a_report_names_its_data(data, name):
    row = {"model": "VIB", "policy": "float32", "epochs": "2", "seed": "0", "data": data}
    reached = {"rate_nats": "2.3", "test_error": "4.00", "test_elbo_nats": ""}
    text = report.markdown([], [{**row, **reached}])
    assert f"for 2 epochs of\n{name}. The table shows the mean over 1 seeds" in text


def test_the_policy_is_as_it_was_afterwards():
    def fail(name):
        with using_policy(name):
            assert keras.config.dtype_policy().name == name
            raise KeyError

    for name in ("float64", "mixed_float16"):
        with pytest.raises(KeyError):
            fail(name)
        assert keras.config.dtype_policy().name == keras.config.floatx() == "float32"


def test_presets():
    small, whole = (precision_stress.parse_arguments(given) for given in ([], ["--whole"]))
    assert len(whole.learning_rates) > len(small.learning_rates)
    assert whole.seeds > small.seeds
    assert precision_stress.parse_arguments(["--whole", "--steps", "7"]).steps == 7
