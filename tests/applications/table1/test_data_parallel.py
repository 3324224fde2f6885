"""`python -m applications.classifier --devices N`, and the devices it trains on."""

import numpy as np
import pytest

from applications import classifier
from applications.experiment import csv_tables
from applications.table1 import data_parallel
from applications.training import devices
from tests.support import run_python


@pytest.mark.experiment("jax")
def test_two_devices_train_a_classifier_at_its_rate(tmp_path):
    options = ["--dataset", "digits", "--devices", "2", "--epochs", "3", "--batch-size", "256",
               "--learning-rate", "1e-3", "--quiet", "--output", str(tmp_path)]  # fmt: skip
    script = f"from applications import classifier; classifier.main({options})"
    output, _ = run_python(script, OMP_NUM_THREADS="1")
    (row,) = csv_tables.read_rows(tmp_path / "devices_digits.csv")
    assert list(row) == list(data_parallel.COLUMNS)
    assert (row["normalization"], row["r"], row["devices"]) == ("batch", "1", "2")
    assert float(row["rate_nats"]) == pytest.approx(np.log(10), rel=1e-5)
    assert float(row["test_error"]) < 60, "a few steps on digits do better than guessing"
    assert f"| {row['rate_nats']} |" in output
    assert "Made by (number of rows): " in output
    # A row that is there is not trained again.
    before = (tmp_path / "devices_digits.csv").read_bytes()
    classifier.main(options)
    assert (tmp_path / "devices_digits.csv").read_bytes() == before
    assert not list(tmp_path.glob("checkpoints/*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "0"], "positive integer, not '0'"),
        (["--devices", "3"], "--batch-size 100 cannot be divided among 3 devices"),
        (["--devices", "2", "--jobs", "2"], "cannot be used with --jobs"),
    ],
)
def test_bad_options(options, message, capsys):
    with pytest.raises(SystemExit):
        classifier.parse_arguments(options)
    assert message in capsys.readouterr().err


def test_batches_are_full_and_differ_between_epochs():
    x = np.arange(10)
    batches = data_parallel.SharedBatches(x, -x, batch_size=4, seed=0)
    assert len(batches) == 2
    epochs = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        pairs = [batches[index] for index in range(2)]
        assert all(len(x) == 4 for x, _ in pairs)
        assert all((x == -y).all() for x, y in pairs)
        epochs.append(np.concatenate([x for x, _ in pairs]))
        assert len(set(epochs[-1])) == 8
    assert list(epochs[0]) != list(epochs[1])


def test_a_process_alone_has_all_rows():
    assert devices.share() == slice(None)
