"""The command, from its options to its pictures, and its table."""

import json

import numpy as np
import pytest

from applications.disentangle import __main__ as disentangle
from applications.disentangle import report
from applications.disentangle import row_runner
from applications.experiment import csv_tables


@pytest.mark.experiment("torch")
def test_the_command_writes_a_table_and_pictures(tmp_path, capsys):
    options = ["--epochs", "2", "--steps", "2", "--width", "2", "--latent-dim", "3"]
    options += ["--train-images", "200", "--test-images", "100", "--seeds", "0"]
    options += ["--gamma", "1000", "--output", str(tmp_path)]
    disentangle.main([*options, "--rows", "vae", "penalty"])
    disentangle.main([*options, "--rows", "vae", "penalty", "batch"])
    assert "2 of 3 rows are in" in capsys.readouterr().out
    rows = csv_tables.read_rows(tmp_path / "disentangle_sprites.csv")
    assert [row["row"] for row in rows] == ["vae", "penalty", "batch"]
    assert [list(row) for row in rows] == [list(row_runner.COLUMNS)] * 3
    for row in rows:
        history = csv_tables.read_rows(tmp_path / "history" / f"{row['label']}.csv")
        assert len(history) == 2
        measures = json.loads((tmp_path / "measures" / f"{row['label']}.json").read_text())
        assert np.shape(measures["importance"]) == (3, 5)
        assert sum(measures["unit_rates"]) == pytest.approx(float(row["rate"]), abs=1e-4)
        picture = tmp_path / "traversals" / f"{row['label']}.png"
        assert picture.read_bytes()[:4] == b"\x89PNG"
    vae, penalty, batch = rows
    assert vae["mean_miss"] == ""
    assert float(batch["largest_miss"]) < 1e-4 < float(penalty["mean_miss"])
    assert float(batch["train_rate"]) == pytest.approx(float(batch["asked_rate"]), rel=1e-5)
    for name in ("capacity_sprites.png", "wake_sprites.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    assert not list(tmp_path.glob("checkpoints/*"))
    text = (tmp_path / "disentangle_sprites.md").read_text()
    assert '| FixedRateVIB, "batch" |' in text
    assert "| penalty on KL - C, gamma 1000 |" in text


def test_schedule_columns():
    history = [
        {"latent_rate": "1.5", "latent_target_rate": "1.0", "unit0_rate": "0.5", "unit1_rate": "1"},
        {"latent_rate": "1.9", "latent_target_rate": "2.0", "unit0_rate": "2", "unit1_rate": "0.2"},
    ]
    columns = row_runner.schedule_columns(history, 2)
    computed = [float(value) for value in columns.values()]
    np.testing.assert_allclose(computed, [1.9, 2.0, 0.3, 0.5, 0.35])
    without = row_runner.schedule_columns([{"latent_rate": "3"}], 2)
    assert list(without) == list(columns)
    assert list(without.values()) == ["3", "", "", "", ""]


def test_means_over_seeds():
    """The mean and the standard deviation of a column, once for each row of the table."""
    row = dict.fromkeys(row_runner.COLUMNS, "1")
    row |= {"row": "vae", "dataset": "sprites", "beta": "1.0", "asked_rate": ""}
    rows = [{**row, "seed": str(seed), "mig": str(mig)} for seed, mig in enumerate((0.1, 0.3))]
    (line,) = (line for line in report.markdown(rows, "t.csv").split("\n") if "| VAE |" in line)
    assert "0.20 ± 0.14" in line
    assert line.endswith("| 2 |")


def test_wrong_options(capsys):
    for options, message in (
        (["--rows", "vea"], "invalid choice: 'vea'"),
        (["--warmup", "2"], "from 0 to 1"),
        (["--latent-dim", "1"], "at least 2"),
        (["--seeds", "0", "0"], "each value makes a row"),
    ):
        with pytest.raises(SystemExit):
            disentangle.parse_arguments(options)
        assert message in capsys.readouterr().err
