import numpy as np
import pytest

from applications import half_moons
from applications import results


def test_labels_are_flipped_in_training_only():
    (x, flipped), (x_test, _) = half_moons.make_data(0.3, seed=1)
    (_, true), _ = half_moons.make_data(0.0, seed=1)
    assert np.mean(flipped != true) == pytest.approx(0.3, abs=0.03)
    assert x.shape == (4000, 2)
    assert x_test.shape == (2000, 2)


def test_a_collapsed_and_a_working_classifier():
    """Past beta_0 the beta-VIB guesses; a fixed rate of 1 nat solves the task."""
    data = half_moons.make_data(0.2)
    accuracy, rate = half_moons.train_one(data, 25, bottleneck="beta_vib", kl_weight=3.0)
    assert accuracy < 0.7
    assert rate < 0.01
    accuracy, rate = half_moons.train_one(data, 25, bottleneck="vib", rate=1.0)
    assert accuracy > 0.98
    assert rate == pytest.approx(1.0, rel=1e-5)


def test_the_command_writes_a_table_and_a_picture(tmp_path, capsys):
    options = ["--betas", "0.1", "--rates", "0.5", "--epochs", "1", "--output", str(tmp_path)]
    half_moons.main(options)
    rows = results.read_rows(tmp_path / "half_moons.csv")
    assert [(row["tuned"], row["value"]) for row in rows] == [("beta", "0.1"), ("rate", "0.5")]
    assert float(rows[1]["achieved_rate"]) == pytest.approx(0.5, rel=1e-5)
    assert (tmp_path / "half_moons.png").read_bytes()[:4] == b"\x89PNG"
    assert "beta_0 = (1 - 2p)^2 = 0.36" in capsys.readouterr().out
    before = (tmp_path / "half_moons.csv").read_bytes()
    half_moons.main(options)
    assert (tmp_path / "half_moons.csv").read_bytes() == before, "finished rows are kept"


def test_flip_probability_is_checked(capsys):
    with pytest.raises(SystemExit):
        half_moons.parse_arguments(["--flip-probability", "0.5"])
    assert "[0, 0.5)" in capsys.readouterr().err
