"""Commands that share a folder: each row once, and none mixed with another's."""

import json
import os
import re
import subprocess
import sys

import keras
import pytest

from applications import classifier
from applications.experiment import claims
from applications.experiment import csv_tables
from applications.experiment import provenance
from applications.experiment import table_runner
from applications.experiment.resumable_training import RowFiles
from applications.half_moons import __main__ as half_moons
from applications.table1 import row_runner
from applications.table1.options import chosen_settings
from tests.support import ROOT
from tests.support import main_module

ELSEWHERE = "torch" if keras.backend.backend() == "jax" else "jax"


def options(folder, *more):
    return ["--dataset", "digits", "--output", str(folder), "--bottleneck", "none", "--epochs", "2",
            "--batch-size", "479", "--quiet", "--checkpoint-seconds", "0", *more]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The text of a table with one row, seed 0."""
    folder = tmp_path_factory.mktemp("made")
    classifier.main(options(folder))
    return (folder / "table1_digits.csv").read_text()


@pytest.fixture
def table(made, tmp_path):
    path = tmp_path / "table1_digits.csv"
    path.write_text(made)
    return path


@pytest.fixture
def untrained(monkeypatch):
    """No row may be begun."""
    monkeypatch.setattr(row_runner, "make_runner", lambda *_: pytest.fail("training began"))


def change(path, **values):
    """Give the rows of a table other values."""
    rows = [{**row, **values} for row in csv_tables.read_rows(path)]
    csv_tables.write_rows(path, rows)


@pytest.mark.experiment("jax")
def test_two_commands_at_once_make_each_row_once(tmp_path):
    command = [sys.executable, "-m", "applications.classifier",
               *options(tmp_path, "--seed", "0", "1", "2")]  # fmt: skip
    both = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    rows = row_runner.result_table(tmp_path / "table1_digits.csv").rows()
    assert sorted(row["seed"] for row in rows) == ["0", "1", "2"]
    for history in tmp_path.glob("history/*.csv"):
        assert [line["epoch"] for line in csv_tables.read_rows(history)] == ["0", "1"]
    assert not list(tmp_path.glob("checkpoints/*"))


def test_a_row_that_another_command_trains_is_left_to_it(tmp_path, capsys):
    files = RowFiles(tmp_path, *setting_and_data())
    with claims.claim(files.checkpoints):
        classifier.main(options(tmp_path, "--seed", "0", "1"))
    out = capsys.readouterr().out
    assert "[1/2] digits base, seed 0: left to another command, which is training it" in out
    assert "1 rows are left to another command that is training them: digits base, seed 0" in out
    (row,) = csv_tables.read_rows(tmp_path / "table1_digits.csv")
    assert row["seed"] == "1"
    with claims.claim(files.checkpoints):  # nothing but rows of others: no table, no failure
        classifier.main(options(tmp_path / "new", "--seed", "1"))
        classifier.main(options(tmp_path))


def setting_and_data():
    (setting,) = chosen_settings(classifier.parse_arguments(options("unused")))
    return setting, row_runner.images.load("digits").sha256


def test_a_row_that_another_command_has_finished_meanwhile(table, tmp_path, untrained):
    setting, data = setting_and_data()
    run = table_runner.make_claiming(
        row_runner.result_table(table), data, row_runner.make_runner, ()
    )  # what the table lacked when the command began
    assert run(setting, print) == csv_tables.read_rows(table)[0]
    assert not list(tmp_path.glob("checkpoints/*"))


def test_a_table_of_another_backend_is_refused(table, tmp_path, untrained):
    change(table, backend=f"{ELSEWHERE} 0.1")
    before = table.read_text()
    message = (
        rf"table1_digits\.csv has the row normalization=base, epochs=2, seed=0, made by {ELSEWHERE}"
        rf" 0\.1\. The current backend is {keras.backend.backend()}, .*KERAS_BACKEND={ELSEWHERE}"
    )
    with pytest.raises(SystemExit, match=message):
        classifier.main(options(tmp_path, "--seed", "1", "0"))
    assert table.read_text() == before


def test_another_version_of_the_backend_is_no_other_backend(table, tmp_path, untrained, capsys):
    change(table, backend=f"{keras.backend.backend()} 0.1")
    classifier.main(options(tmp_path))
    assert "1 of 1 rows are in" in capsys.readouterr().out


def test_other_data_is_no_such_row(table, tmp_path, capsys):
    change(table, **{"data_sha256": "of others", "eps_0.0": "99.00"})
    classifier.main(options(tmp_path))
    assert "0 of 1 rows are in" in capsys.readouterr().out
    text = table.with_suffix(".md").read_text()
    # It is not averaged with the new one, and is reported.
    assert re.search(r", data_sha256=of others \| 0 \|  \|  \| 99\.00 \|", text)


def test_rows_of_another_commit_count_and_are_told(table, tmp_path, capsys):
    change(table, commit="abc123")
    classifier.main(options(tmp_path, "--seed", "0", "1"))
    out = capsys.readouterr().out
    assert "1 of 2 rows are in" in out
    assert re.search(
        r"1 of them were made at another commit than .*: digits base, seed 0 \(commit abc123\)", out
    )
    text = table.with_suffix(".md").read_text()
    assert "| 0, 1 (from 2 commits) |" in text
    line = text.splitlines()[-1]
    assert line.startswith(f"Made by (number of rows): {provenance.backend()} (2); ")
    assert "commit abc123 (1), commit " in line
    classifier.main(options(tmp_path, "--seed", "1"))
    assert "another commit" not in capsys.readouterr().out


def begun(folder):
    """Begin a row, as a command does that is killed after an epoch; return its files."""
    setting, data = setting_and_data()
    runner = row_runner.make_runner(("digits",), folder, "tests", 0.0)

    class Killed(Exception):
        pass

    def kill(epoch, logs):
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        runner.train(setting, kill)
    return RowFiles(folder, setting, data)


def edit(files, **values):
    description = {**files.description(), **values}
    files.describe({key: value for key, value in description.items() if value is not None})


def test_a_checkpoint_of_another_backend_is_refused(tmp_path, monkeypatch):
    files = begun(tmp_path)
    description = json.loads((files.checkpoints / "setting.json").read_text())
    assert description["backend"] == provenance.backend()
    assert description["commits"] == [provenance.commit()]
    edit(files, backend=f"{ELSEWHERE} 0.1")
    history = files.history.read_text()
    message = rf"checkpoint in .* was made by {ELSEWHERE} 0\.1\. .*KERAS_BACKEND={ELSEWHERE}, or de"
    setting, _ = setting_and_data()
    with pytest.raises(ValueError, match=message):
        row_runner.make_runner(("digits",), tmp_path, "tests").train(setting)
    monkeypatch.setattr(row_runner, "make_runner", lambda *_: pytest.fail("training began"))
    with pytest.raises(SystemExit, match=message):
        classifier.main(options(tmp_path, "--seed", "1", "0"))
    assert files.history.read_text() == history
    (files.checkpoints / "setting.json").write_text('{"dataset": "dig')
    with pytest.raises(SystemExit, match=r"setting\.json is damaged"):
        classifier.main(options(tmp_path))


@pytest.mark.parametrize("commits", [["abc123"], None])
def test_a_row_names_the_commits_of_its_parts(tmp_path, commits):
    """An older checkpoint states neither its commit nor its backend."""
    files = begun(tmp_path)
    edit(files, commits=commits, **({} if commits else {"backend": None}))
    classifier.main(options(tmp_path))
    (row,) = csv_tables.read_rows(tmp_path / "table1_digits.csv")
    assert row["commit"] == f"{commits[0] if commits else 'unknown'}, {provenance.commit()}"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("\n", ",color\n", 1).replace("cores\"\n", "cores\",red\n"),
         r"line 1 .*Unknown: \['color'\]"),
        (lambda text: text.replace("train_error", "error", 1), r"Missing: \['train_error'\]"),
        (lambda text: text[:-20], "line 2 is truncated"),
        (lambda text: text + text.splitlines()[1] + "\n", r"epochs=2, seed=0 of \w+ 2 times"),
    ],
)  # fmt: skip
def test_a_damaged_table_is_refused_before_any_training(
    table, tmp_path, untrained, damage, message
):
    text = damage(table.read_text().replace("GPU\n", '"GPU cores"\n'))
    table.write_text(text)
    with pytest.raises(SystemExit, match=rf"table1_digits\.csv.*{message}"):
        classifier.main(options(tmp_path, "--seed", "0", "1"))
    assert table.read_text() == text
    assert not (tmp_path / "history").exists()


def moons(folder, *more):
    return ["--betas", "0.1", "--rates", "0.5", "--targets", "--epochs", "1",
            "--output", str(folder), *more]  # fmt: skip


def test_half_moons_are_refused_too(tmp_path, monkeypatch, capsys):
    half_moons.main(moons(tmp_path))
    assert "Made by (number of rows): " in capsys.readouterr().out
    monkeypatch.setattr(half_moons, "train_row", lambda *_: pytest.fail("training began"))
    path = tmp_path / "half_moons.csv"
    whole = csv_tables.read_rows(path)
    change(path, backend=f"{ELSEWHERE} 0.1")
    with pytest.raises(SystemExit, match=rf"tuned=beta, value=0\.1, seed=0, made by {ELSEWHERE}"):
        half_moons.main(moons(tmp_path, "--seeds", "1", "0"))
    csv_tables.write_rows(path, [*whole, whole[0]])
    with pytest.raises(SystemExit, match=r"value=0\.1, seed=0 of \w+ 2 times"):
        half_moons.main(moons(tmp_path))
    csv_tables.write_rows(path, [{**row, "color": "red"} for row in whole])
    with pytest.raises(SystemExit, match=r"Unknown: \['color'\]"):
        half_moons.main(moons(tmp_path))


@pytest.mark.parametrize(
    "command",
    [
        "applications.table1 --seeds 0 0",
        "applications.table1 --rows base base",
        "applications.table2 --seeds 1 0 1",
        "applications.table2 --rows vae vae",
        "applications.classifier --seed 0 0",
        "applications.classifier --rate-multiplier 1 1.0",
        "applications.classifier --bottleneck vib vib",
        "applications.classifier --normalization batch batch",
        "applications.accuracy_rate --betas 0.1 0.1",
        "applications.accuracy_rate --rate-multipliers 0.5 0.5",
        "applications.accuracy_rate --normalizations batch batch",
        "applications.strong_attacks --rows base base",
        "applications.half_moons --betas 0.1 0.1",
        "applications.half_moons --rates 1 1",
        "applications.half_moons --targets 1 1",
        "applications.half_moons --seeds 0 0",
        "benchmarks.device_scaling --devices 2 2",
        "benchmarks.text_throughput --samples 25 25",
        "benchmarks.precision_stress --learning-rates 0.1 0.1",
        "benchmarks.rate_at_inference --epochs 1 1",
        "benchmarks.stdplus_speed --sizes 1000 1e3",
        "benchmarks.epoch_time --bottleneck vib vib",
        "benchmarks.layer_speed --width 8 8",
        "benchmarks.stdplus_accuracy --dtypes float32 float32",
    ],
)
def test_a_value_given_twice_is_refused(command, capsys):
    module, *arguments = command.split()
    module += ".__main__" if (ROOT / module.replace(".", "/")).is_dir() else ""
    with pytest.raises(SystemExit) as ended:
        main_module(module).parse_arguments(arguments)
    assert ended.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    expected = f"{arguments[0]}: each value makes a row and must be given only once. Received: "
    assert expected in message
    assert message.endswith(" twice")


def test_rows_with_the_same_columns_are_refused(tmp_path, untrained):
    # Apart beyond the digits that the table shows.
    rates = ["--bottleneck", "vib", "--rate-multiplier", "0.1234567", "0.1234568"]
    with pytest.raises(SystemExit, match=r"Two of the requested rows have the same columns"):
        classifier.main(options(tmp_path, *rates))


def test_locks_are_ignored_by_git():
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    ignored = subprocess.run(
        ["git", "check-ignore", "-q", os.path.join("results", ".table1_mnist.csv.lock")], cwd=ROOT
    )
    assert ignored.returncode == 0
