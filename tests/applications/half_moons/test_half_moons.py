import numpy as np
import pytest

from applications.experiment import csv_tables
from applications.half_moons import __main__ as half_moons
from applications.half_moons.training import Trainer
from applications.half_moons.training import make_data


def test_labels_are_flipped_in_training_only():
    (x, flipped), (x_test, _) = make_data(0.3, seed=1)
    (_, true), _ = make_data(0.0, seed=1)
    assert np.mean(flipped != true) == pytest.approx(0.3, abs=0.03)
    assert x.shape == (4000, 2)
    assert x_test.shape == (2000, 2)


@pytest.mark.experiment("jax")
def test_a_collapsed_and_a_working_classifier():
    """Past beta_0 the beta-VIB guesses; a fixed rate of 1 nat solves the task."""
    data = make_data(0.2)
    reached = Trainer("beta_vib").train(data, 25, kl_weight=3.0)
    assert reached["accuracy"] < 0.7
    assert reached["rate"] < 0.01
    assert reached["cross_entropy"] == pytest.approx(np.log(2), abs=0.01)
    reached = Trainer("vib", rate=5.0).train(data, 25, rate=1.0)
    assert reached["accuracy"] > 0.98
    assert reached["rate"] == pytest.approx(1.0, rel=1e-5)
    # No better than knowing the moon and how often its label is flipped.
    assert reached["cross_entropy"] > -0.2 * np.log(0.2) - 0.8 * np.log(0.8) - 0.01


@pytest.mark.experiment("jax")
def test_a_classifier_does_not_depend_on_those_before_it():
    data = make_data(0.2, num_train=400, num_test=50)
    trainer = Trainer("vib", rate=2.0)
    first = trainer.train(data, 2, seed=1, rate=0.5)
    trainer.train(data, 2, seed=2, rate=2.0)
    assert trainer.train(data, 2, seed=1, rate=0.5) == first
    # Nor on the rate that was compiled first: accuracy, too, is at the rate of the training.
    assert Trainer("vib", rate=0.5).train(data, 2, seed=1, rate=0.5) == first


@pytest.mark.experiment("jax")
def test_a_schedule_does_not_depend_on_those_before_it():
    data = make_data(0.2, num_train=400, num_test=50)
    trainer, reached = Trainer("beta_vib", kl_weight=0.1), []
    for name in ("geco", "warmup", "geco"):
        beta, callback = half_moons.schedule(name, 0.3, epochs=3)
        reached.append(trainer.train(data, 3, seed=1, callbacks=[callback], kl_weight=beta))
    assert reached[0] == reached[2] != reached[1]


def test_what_schedules_are_told():
    """The beta of the sweep at a rate between; the cross-entropy of the fixed rate."""
    rows = [
        {"tuned": "beta", "value": "0.01", "achieved_rate": "4.0"},
        {"tuned": "beta", "value": "1.0", "achieved_rate": "0.25"},
        {"tuned": "rate", "value": "1.0", "achieved_rate": "1.0", "cross_entropy": "0.53"},
    ]
    for name in ("warmup", "cyclic"):
        assert half_moons.what_to_tell(name, 1.0, rows) == pytest.approx(0.1)
        assert half_moons.what_to_tell(name, 9.0, rows) == pytest.approx(0.01)
    assert half_moons.what_to_tell("geco", 1.0, rows) == 0.53


@pytest.mark.experiment("jax")
def test_the_command_writes_a_table_and_a_picture(tmp_path, capsys):
    options = ["--betas", "0.1", "0.2", "--rates", "0.5", "--targets", "0.3"]
    options += ["--epochs", "1", "--output", str(tmp_path)]
    half_moons.main(options)
    rows = csv_tables.read_rows(tmp_path / "half_moons.csv")
    assert [(row["tuned"], row["value"]) for row in rows] == [
        ("beta", "0.1"),
        ("beta", "0.2"),
        ("rate", "0.5"),
        ("rate", "0.3"),
        ("warmup", "0.3"),
        ("cyclic", "0.3"),
        ("geco", "0.3"),
    ]
    assert [list(row) for row in rows] == [list(half_moons.COLUMNS)] * len(rows)
    assert not list(tmp_path.glob("checkpoints/*"))
    for row in rows[2:4]:
        assert float(row["achieved_rate"]) == pytest.approx(float(row["value"]), rel=1e-5)
    for row in rows[4:]:
        miss = abs(float(row["achieved_rate"]) - 0.3)
        assert float(row["miss"]) == pytest.approx(miss, abs=0.01 * miss)
    for picture in ("half_moons.png", "set_and_get.png"):
        assert (tmp_path / picture).read_bytes()[:4] == b"\x89PNG"
    printed = capsys.readouterr().out
    assert "beta_0 = (1 - 2p)^2 = 0.36" in printed
    assert "| 0.3 | " in printed.split("|reached - target| in nats")[1]
    before = (tmp_path / "half_moons.csv").read_bytes()
    half_moons.main(options)
    assert (tmp_path / "half_moons.csv").read_bytes() == before, "finished rows are kept"


def test_flip_probability_is_checked(capsys):
    with pytest.raises(SystemExit):
        half_moons.parse_arguments(["--flip-probability", "0.5"])
    assert "from 0 to less than 0.5" in capsys.readouterr().err
