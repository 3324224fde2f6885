"""The whole of Table 1 on scikit-learn's digits, killed and continued, side by side."""

import dataclasses
import signal
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

from applications.attacks.fgsm import EPSILONS
from applications.datasets import image_data
from applications.experiment import claims
from applications.experiment import csv_tables
from applications.experiment import provenance
from applications.experiment.resumable_training import RowFiles
from applications.table1 import __main__ as table1
from applications.table1 import row_runner
from applications.table1 import row_runner as rows1
from applications.table1.config import Setting
from applications.table1.config import default_setting
from applications.table1.presets import TABLE1_CIFAR10
from applications.table1.presets import TABLE1_MNIST
from applications.table1.presets import preset_of
from applications.table1.presets import table1_rows
from tests.support import ROOT

MNIST_SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"


def arguments(folder, *more):
    return ["--dataset", "digits", "--output", str(folder), "--batch-size", "479", *more]


def wait_for(condition, process, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        code = process.poll()
        assert code is None, f"ended with {code}: {process.stderr.read().decode()}"
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.experiment("torch")
def test_rows_side_by_side_killed_and_continued(tmp_path, capsys):
    options = arguments(tmp_path, "--rows", "base", "--seeds", "0", "1", "2", "--epochs", "12",
                        "--quiet", "--checkpoint-seconds", "0")  # fmt: skip
    table = tmp_path / "table1_digits.csv"

    def third_row_is_on_its_way():
        histories = tmp_path.glob("history/*_seed2_*")
        return table.exists() and any(h.read_text().count("\n") > 2 for h in histories)

    command = [sys.executable, "-m", "applications.table1", *options, "--jobs", "2"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_for(third_row_is_on_its_way, process)
        finally:
            process.send_signal(signal.SIGKILL)
    for folder in tmp_path.glob("checkpoints/*"):
        with claims.claim(folder, wait=True):  # the workers end with their parent
            pass
    written = table.read_text()
    assert written.count("\n") in (2, 3), "one row, or those of both workers"
    (history,) = tmp_path.glob("history/*_seed2_*")
    before = history.read_text().splitlines()
    assert 2 < len(before) <= 13

    table1.main(options)
    # Finished rows as they were, the third not begun again: its first epochs stand.
    assert table.read_text().startswith(written)
    rows = csv_tables.read_rows(table)
    assert sorted(row["seed"] for row in rows) == ["0", "1", "2"]
    after = history.read_text().splitlines()
    assert after[: len(before) - 2] == before[:-2]
    assert [line.split(",")[0] for line in after] == ["epoch", *map(str, range(12))]
    assert rows[0]["command"].startswith("python -m applications.table1 --dataset digits")
    assert not list(tmp_path.glob("checkpoints/*"))
    assert (tmp_path / "table1_digits.png").stat().st_size > 10_000
    # Mean and sample standard deviation over the seeds.
    errors = [float(row["eps_0.1"]) for row in rows]
    cell = f"{statistics.mean(errors):.2f} ± {statistics.stdev(errors):.2f}"
    assert cell in capsys.readouterr().out


def untrained_row(runner, setting, report):
    row = dict.fromkeys(row_runner.COLUMNS, "") | {f"eps_{eps}": "1.00" for eps in EPSILONS}
    row |= {**setting.columns(), "data_sha256": runner.data.sha256}
    return row | provenance.describe_run("tests")


def test_the_picture_has_the_rows_of_earlier_commands_at_the_same_scale(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(row_runner.RowRunner, "__call__", untrained_row)
    monkeypatch.setattr(table1.figure, "draw", lambda rows, path: drawn.append(rows))
    options = arguments(tmp_path, "--quiet", "--rows")
    table1.main([*options, "base", "--relu-amplitude"])  # which base does not have
    table1.main([*options, "batch_r1", "--epochs", "9"])
    table1.main([*options, "batch_r0.25", "--seeds", "1"])
    table1.main([*options, "feature_r1"])
    names = [[(row["normalization"], row["r"]) for row in rows] for rows in drawn]
    base, quarter, feature = ("base", ""), ("batch", "0.25"), ("feature", "1")
    assert names == [[base], [("batch", "1")], [base, quarter], [base, quarter, feature]]


def test_a_failing_row_leaves_the_others_and_fails_the_command(tmp_path, monkeypatch, capsys):
    def broken(self, setting, report):
        if setting.bottleneck == "dropout":
            raise RuntimeError("out of memory")
        return untrained_row(self, setting, report)

    monkeypatch.setattr(row_runner.RowRunner, "__call__", broken)
    with pytest.raises(SystemExit, match="1 rows failed, see above: digits dropout, seed 0"):
        table1.main(arguments(tmp_path, "--rows", "dropout", "base"))
    assert "RuntimeError: out of memory" in capsys.readouterr().err
    (row,) = csv_tables.read_rows(tmp_path / "table1_digits.csv")
    assert row["normalization"] == "base"


def test_the_rows_are_the_paper_s():
    for dataset, table in (("mnist", TABLE1_MNIST), ("cifar10", TABLE1_CIFAR10)):
        rows = table1.settings(table1.parse_arguments(["--dataset", dataset]))
        names = [(row.columns()["normalization"], row.columns()["r"]) for row in rows]
        assert names == list(table)
        assert {row.epochs for row in rows} == {400}
        assert {preset_of(row) for row in rows} == {"paper"}
    assert (len(TABLE1_MNIST), len(TABLE1_CIFAR10)) == (17, 16)
    short = table1.settings(table1.parse_arguments(["--dataset", "cifar10", "--preset", "short"]))
    assert {(row.dataset, row.width) for row in short} == {("cifar10", 16)}
    # A preset is rows and images.
    assert {preset_of(row, (10_000, 2_000)) for row in short} == {"short"}
    assert {preset_of(row) for row in short} == {""}
    assert preset_of(Setting(), (100, None)) == ""
    other = table1.settings(table1.parse_arguments(["--preset", "short", "--epochs", "21"]))
    assert {preset_of(row) for row in other} == {""}
    options = ["--initializer", "torch", "--adam-epsilon", "1e-8", "--relu-amplitude"]
    chosen = table1.settings(table1.parse_arguments(options))
    assert {(row.initializer, row.adam_epsilon, row.relu_amplitude) for row in chosen} == {
        ("torch", 1e-8, True)
    }


def test_the_width_is_that_of_a_resnet18(capsys):
    options = table1.parse_arguments(["--dataset", "cifar10", "--width", "8"])
    assert {row.width for row in table1.settings(options)} == {8}
    with pytest.raises(SystemExit):
        table1.parse_arguments(["--width", "8"])
    assert "--width is for the ResNet18 of cifar10" in capsys.readouterr().err


def test_names_of_files_tell_settings_apart():
    rows = table1_rows("mnist", "paper") + table1_rows("mnist", "short")
    assert len({row.label("data") for row in rows}) == 34
    assert rows[0].label("data") != rows[0].label("other data")
    base = Setting(bottleneck="none")
    # As the 400-epoch rows of before these options are called.
    assert base.label(MNIST_SHA256) == "mnist_base_epochs400_seed0_45dd207a"
    others = (dict(initializer="torch"), dict(adam_epsilon=1e-8), dict(weight_decay=0.0))
    assert len({dataclasses.replace(base, **c).label("data") for c in ({}, *others)}) == 4
    # The base model has no amplitude: one row, one name.
    assert dataclasses.replace(base, relu_amplitude=True).label("data") == base.label("data")
    assert Setting(relu_amplitude=True).label("data") != Setting().label("data")


def test_outputs_of_the_presets_are_apart():
    folders = {table1.parse_arguments(["--preset", name]).output for name in ("paper", "short")}
    assert folders == {"runs/table1", "runs/table1/short"}


def test_an_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        table1.parse_arguments(["--dataset", "cifar10", "--rows", "dropout"])
    assert "cifar10 has no row 'dropout'" in capsys.readouterr().err


PIXELS = image_data.random_images(4, 3)


def test_what_stands_in_a_row(tmp_path, monkeypatch):
    """Each number in its column: the last epoch's, in percent, and the whole time."""
    data = dataclasses.replace(PIXELS, first=(10_000, 2_000))
    runner = rows1.RowRunner(data, tmp_path, "tests")
    clipped, unclipped = [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.21, 0.31, 0.41, 0.51]
    history = [
        {"accuracy": "0.5", "bottleneck_rate": "9", "seconds": "20", "val_accuracy": "0.1"},
        {"accuracy": "0.75", "bottleneck_rate": "2.25", "seconds": "30", "val_accuracy": "0.2"},
    ]

    class Compiled:
        def attack(self, setting):
            return np.array([clipped, unclipped])

    monkeypatch.setattr(runner, "compiled", lambda setting: Compiled())
    monkeypatch.setattr(runner, "train", lambda *_: history)
    monkeypatch.setattr(runner, "_test_rate", lambda setting: 2.5)
    monkeypatch.setattr(runner, "_save_classifier", lambda setting: None)
    monkeypatch.setattr(RowFiles, "commit", "abc")
    setting = dataclasses.replace(default_setting("cifar10"), width=16, epochs=4)
    row = runner(setting)
    assert [row[f"eps_{eps}"] for eps in EPSILONS] == [f"{10 * n:.2f}" for n in range(1, 6)]
    assert [row[f"unclipped_eps_{eps}"] for eps in EPSILONS[1:]] == [
        "21.00", "31.00", "41.00", "51.00"
    ]  # fmt: skip
    assert (row["train_error"], row["rate_nats"], row["test_rate_nats"]) == ("25.00", "2.25", "2.5")
    assert row["target_nats"] == "2.30259"
    assert (row["train_seconds"], row["preset"], row["commit"]) == ("50", "short", "abc")
