"""An experiment that is killed again and again ends as the undisturbed one."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from applications.experiment import csv_tables
from tests.support import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="attempts are forks")

# By day as many as there are kinds of moments, and one more, for an even share of each half.
KILLS = int(os.environ.get("KERAS_SLASHED_KILLS", "12"))
EPOCHS, STEPS = 4, 3  # of 479 images of the digits
TIMES = ("seconds", "train_seconds", "evaluate_seconds")
# `killed_attempts.py` says what they are. Those of training return with every epoch.
IN_TRAINING = (
    "claimed",
    "batch",
    "history half written",
    "history complete",
    "checkpoint half written",
    "checkpoint complete",
)
AFTER_TRAINING = (
    "attack",
    "weights half written",
    "table half written",
    "table complete",
    "checkpoints go",
    "markdown",
)


def random_moments(number, seed):
    """Return moments that a run comes by, in its order and at random, of as many kinds as can be.

    A run that was killed at a complete checkpoint continues from the one before; one killed
    at a batch after the first epoch's, from that checkpoint.
    """
    rng = random.Random(seed)
    after = min(len(AFTER_TRAINING), number // 2)
    after = [name for name in AFTER_TRAINING if name in rng.sample(AFTER_TRAINING, after)]
    moments, finished_epochs = [], 0
    names = [IN_TRAINING[i % len(IN_TRAINING)] for i in range(number - len(after))]
    rng.shuffle(names)
    for name in names:
        count = 1
        if name == "batch":  # of this epoch, or of the next where that is not the last
            may_advance = finished_epochs + 1 < EPOCHS
            count = rng.randint(1, STEPS * (1 + may_advance))
            finished_epochs += count > STEPS
        moments.append([name, count])
    return moments + [[name, 1] for name in after]


def run(folder, moments):
    """Run the experiment, killed at these moments; return what ended each attempt."""
    command = [
        sys.executable, "-m", "tests.applications.experiment.killed_attempts",
        "applications.classifier", json.dumps(moments),
        "--dataset", "digits", "--output", str(folder), "--epochs", str(EPOCHS),
        "--batch-size", "479", "--checkpoint-seconds", "0", "--quiet",
    ]  # fmt: skip
    # One thread: a fork has no other, and sums are in one order. No kernels of a compiler,
    # which each fork would begin again.
    names = ("OMP_NUM_THREADS", "NPROC", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = os.environ | dict.fromkeys(names, "1") | {"KERAS_SLASHED_COMPILE": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["signal"] for line in done.stdout.splitlines()]


def without_times(path):
    return [
        {name: value for name, value in row.items() if name not in TIMES}
        for row in csv_tables.read_rows(path)
    ]


@pytest.mark.scaled
@pytest.mark.experiment("torch")
def test_a_run_killed_again_and_again_ends_as_the_undisturbed_one(tmp_path):
    moments = random_moments(KILLS, seed=0)
    undisturbed, killed = tmp_path / "undisturbed" / "runs", tmp_path / "killed" / "runs"
    assert run(undisturbed, []) == [None]
    assert run(killed, moments) == ["SIGKILL"] * len(moments) + [None], moments

    (row,) = without_times(killed / "table1_digits.csv")
    assert [row] == without_times(undisturbed / "table1_digits.csv")
    (history,) = killed.glob("history/*.csv")
    (expected,) = undisturbed.glob("history/*.csv")
    assert without_times(history) == without_times(expected)
    assert [line["epoch"] for line in without_times(history)] == list(map(str, range(EPOCHS)))
    assert not list(killed.glob("checkpoints/*"))
    markdown = (killed / "table1_digits.md").read_text()
    assert f"| {row['normalization']} | {row['r']} |" in markdown
    one, other = (read_weights(folder) for folder in (killed, undisturbed))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def read_weights(folder):
    """Return the arrays in the file of the trained weights by name."""
    h5py = pytest.importorskip("h5py")
    (path,) = folder.glob("models/*.weights.h5")
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return arrays


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("number", [12, 20])
def test_moments_are_of_all_kinds(number, seed):
    moments = random_moments(number, seed)
    assert len(moments) == number
    assert {name for name, _ in moments} == {*IN_TRAINING, *AFTER_TRAINING}
