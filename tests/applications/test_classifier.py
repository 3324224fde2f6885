import dataclasses

import keras
import numpy as np
import pytest

from applications import classifier
from applications.datasets import images
from applications.experiment import csv_tables
from applications.strong_attacks.trained_classifiers import setting_of
from applications.table1 import report
from applications.table1 import row_runner
from applications.table1 import row_runner as rows1
from applications.table1.config import ADDED_COLUMNS
from applications.table1.config import Setting
from applications.table1.options import chosen_settings
from applications.table1.presets import TABLE1_MNIST
from applications.table1.presets import preset_of
from tests.support import ROOT

RESULTS = ROOT / "results"


@pytest.mark.experiment("tensorflow")
def test_rows_are_trained_attacked_and_written(tmp_path, capsys):
    options = ["--dataset", "digits", "--output", str(tmp_path), "--bottleneck", "none", "vib",
               "--normalization", "feature", "--epochs", "3", "--batch-size", "479",
               "--learning-rate", "1e-3"]  # fmt: skip
    classifier.main(options)
    base, feature = csv_tables.read_rows(tmp_path / "table1_digits.csv")
    assert (base["normalization"], base["r"]) == ("base", "")
    assert (feature["normalization"], feature["r"]) == ("feature", "1")
    assert float(feature["rate_nats"]) == pytest.approx(np.log(10), rel=1e-5)
    assert 0.5 < float(feature["test_rate_nats"]) / np.log(10) < 2.0
    for row in (base, feature):
        assert list(row) == list(row_runner.COLUMNS)
        assert float(row["eps_0.0"]) < 60, "three epochs on digits do better than guessing"
        assert float(row["eps_0.4"]) > float(row["eps_0.0"])
        assert row["commit"]
        assert row["backend"].startswith(keras.backend.backend())
        assert row["data_sha256"] == images.load("digits").sha256
        (history,) = tmp_path.glob(f"history/*{row['normalization']}*.csv")
        assert [line["epoch"] for line in csv_tables.read_rows(history)] == ["0", "1", "2"]
        assert list(tmp_path.glob(f"models/*{row['normalization']}*.weights.h5"))
    assert not list(tmp_path.glob("checkpoints/*")), "of no use any more"
    output = capsys.readouterr().out
    assert "| feature | 1 | digits | 3 |" in output
    assert "| feature | 1 | digits | 3 |" in (tmp_path / "table1_digits.md").read_text()

    # A second run finds both rows and trains nothing.
    before = (tmp_path / "table1_digits.csv").read_bytes()
    classifier.main(options)
    assert "2 of 2 rows are in" in capsys.readouterr().out
    assert (tmp_path / "table1_digits.csv").read_bytes() == before


@pytest.mark.experiment("torch")
def test_initializer_and_epsilon_in_row_provenance_and_name(tmp_path, monkeypatch, capsys):
    options = ["--dataset", "digits", "--output", str(tmp_path), "--bottleneck", "none",
               "--epochs", "1", "--batch-size", "479"]  # fmt: skip
    chosen = [*options, "--initializer", "torch", "--adam-epsilon", "1e-8"]
    for arguments in (options, chosen):
        monkeypatch.setattr("sys.argv", ["mnist", *arguments])
        classifier.main(arguments)
    table = tmp_path / "table1_digits.csv"
    usual, row = csv_tables.read_rows(table)
    assert (usual["initializer"], usual["adam_epsilon"]) == ("keras", "1e-07")
    assert (row["initializer"], row["adam_epsilon"]) == ("torch", "1e-08")
    assert "--initializer torch --adam-epsilon 1e-8" in row["command"]
    assert usual["eps_0.0"] != row["eps_0.0"]
    assert len(list(tmp_path.glob("models/*"))) == 2
    assert "adam_epsilon=1e-08, initializer=torch | 0 |" in capsys.readouterr().out
    classifier.main(chosen)
    assert "1 of 1 rows are in" in capsys.readouterr().out


@pytest.mark.experiment("torch")
def test_a_table_without_the_newer_columns_counts_as_the_defaults(tmp_path, capsys):
    options = ["--dataset", "digits", "--output", str(tmp_path), "--bottleneck", "none",
               "--epochs", "1", "--batch-size", "479", "--quiet"]  # fmt: skip
    classifier.main(options)
    table = tmp_path / "table1_digits.csv"
    (row,) = csv_tables.read_rows(table)
    old = {name: value for name, value in row.items() if name not in ADDED_COLUMNS}
    assert len(old) == len(row) - 2
    csv_tables.write_rows(table, [old])
    capsys.readouterr()
    classifier.main([*options, "--seed", "0", "1"])
    assert "1 of 2 rows are in" in capsys.readouterr().out
    first, second = csv_tables.read_rows(table)
    assert first == row
    assert second["seed"] == "1"
    assert str(Setting().adam_epsilon) == ADDED_COLUMNS["adam_epsilon"]
    assert Setting().initializer == ADDED_COLUMNS["initializer"]


@pytest.mark.parametrize("path", ["table1_mnist.csv", "short/table1_cifar10.csv"])
def test_committed_rows_are_settings(path):
    rows = row_runner.result_table(RESULTS / path).rows()
    assert [setting_of(row).seed for row in rows] == [int(row["seed"]) for row in rows]
    assert report.markdown(rows, "Table 1", path)


def test_every_row_of_the_paper_can_be_asked_for():
    options = classifier.parse_arguments(
        "--bottleneck none dropout vib --epochs 400 "
        "--normalization batch instance feature "
        "--rate-multiplier 0.125 0.25 0.5 1 1.5".split()
    )
    rows = chosen_settings(options)
    names = {(row.columns()["normalization"], row.columns()["r"]) for row in rows}
    assert names == set(TABLE1_MNIST)
    assert len(rows) == 17
    assert Setting() in rows
    options = classifier.parse_arguments(["--initializer", "torch", "--adam-epsilon", "1e-8"])
    (row,) = chosen_settings(options)
    assert row == Setting(epochs=20, initializer="torch", adam_epsilon=1e-8)


def test_cifar10_has_the_options_of_its_model():
    options = classifier.parse_arguments(
        "--dataset cifar10 --width 8 --stem imagenet --no-augmentation --seed 1 2".split()
    )
    rows = chosen_settings(options)
    assert [row.seed for row in rows] == [1, 2]
    assert (rows[0].dataset, rows[0].model, rows[0].width) == ("cifar10", "resnet18", 8)
    assert (rows[0].stem, rows[0].augment) == ("imagenet", False)
    assert (rows[0].learning_rate, rows[0].learning_rate_decay) == (2e-4, 0.98)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--initializer", "jax"], "'jax'"),
        (["--epochs", "0"], "positive integer, not '0'"),
        (["--jobs", "two"], "positive integer, not 'two'"),
        (["--bottleneck", "ib"], "'ib'"),
        (["--dataset", "cifar100"], "'cifar100'"),
        (["--dataset", "mnist", "--width", "8"], "--width"),
        (["--dataset", "cifar10", "--devices", "2"], "--devices"),
        (["--train-images", "0"], "positive integer, not '0'"),
    ],
)
def test_bad_options(options, message, capsys):
    with pytest.raises(SystemExit):
        classifier.parse_arguments(options)
    assert message in capsys.readouterr().err


def test_missing_data_is_one_clear_message(tmp_path):
    with pytest.raises(SystemExit, match="three ways"):
        classifier.main(["--data-dir", str(tmp_path), "--output", str(tmp_path)])


def committed(kind):
    return sorted(RESULTS.glob(f"**/{kind}_*.csv"))


@pytest.mark.parametrize("path", committed("table1"), ids=lambda path: f"{path.parent.name}")
def test_committed_rows_of_table_1_are_those_of_their_preset(path):
    for row in rows1.result_table(path).rows():
        first = (10_000, 2_000) if "the first 10000 training and 2000 test" in row["data"] else ()
        setting = setting_of(row)
        setting = dataclasses.replace(setting, dataset=setting.dataset.removesuffix("_small"))
        assert preset_of(setting, first or (None, None)) == row["preset"]
