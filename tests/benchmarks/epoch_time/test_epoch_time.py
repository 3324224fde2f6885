"""The benchmark of the epoch: its loop written by hand trains what Keras trains."""

import dataclasses

import pytest

from applications.experiment import csv_tables
from applications.table1.config import Setting
from applications.table1.row_runner import RowRunner
from applications.training.epoch_seeds import fit
from benchmarks.epoch_time import __main__ as epoch_time
from tests.support import BACKEND

needs_jax = pytest.mark.skipif(BACKEND != "jax", reason="the loop is written in JAX")


@pytest.mark.experiment("jax")
@needs_jax
def test_the_loop_trains_as_keras_does(tmp_path):
    import jax.numpy as jnp

    from benchmarks.epoch_time.hand_written_jax import HandWrittenTraining

    data = epoch_time.random_images(400, 10)
    setting = Setting(dataset="random", bottleneck="none", epochs=3, weight_decay=0.1)
    runner = RowRunner(data, tmp_path, "tests")
    compiled = runner.compiled(setting)
    compiled.start(setting)
    loop = HandWrittenTraining(data, setting)
    weights = [jnp.array(w) for w in compiled.classifier.get_weights()]
    loop._state["parameters"] = list(zip(weights[::2], weights[1::2]))
    logged = []
    for _ in range(3):
        logged.append(loop.train_epoch())
    fit(compiled.model, runner.batches(setting), setting.seed, epochs=setting.epochs)
    history = compiled.model.history.history
    for epoch, (loss, accuracy) in enumerate(logged):
        assert loss == pytest.approx(history["loss"][epoch], rel=1e-4)
        assert accuracy == pytest.approx(history["accuracy"][epoch], abs=0.01)
    assert logged[-1][0] < logged[0][0]


@pytest.mark.experiment("jax")
@needs_jax
def test_the_loop_s_bottleneck_learns():
    from benchmarks.epoch_time.hand_written_jax import HandWrittenTraining

    data = epoch_time.random_images(400, 10)
    setting = Setting(dataset="random", epochs=1, rate_multiplier=3.0, learning_rate=1e-3)
    loop = HandWrittenTraining(data, setting)
    losses = [float(loop.train_epoch()[0]) for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0], "it learns the labels by heart, through the noise"


def test_a_table_of_times(tmp_path, capsys):
    epoch_time.main(
        "--bottleneck none --batch-size 50 --train-images 100 --test-images 20 --repeats 3 "
        f"--seconds 0 --output {tmp_path}".split()
    )
    (table,) = tmp_path.glob("*.csv")
    rows = csv_tables.read_rows(table)
    names = ["model.fit, one epoch", *["JAX loop, one epoch"] * (BACKEND == "jax"), "attack"]
    assert [row["what"] for row in rows] == names
    assert rows[-1]["ratio_of"] == "attack / model.fit, one epoch"
    assert all(float(row["seconds"]) > 0 for row in rows)
    assert float(rows[-1]["ratio"]) > 0
    assert "| attack |" in capsys.readouterr().out


def test_random_images_are_of_any_number():
    data = epoch_time.random_images(5, 3)
    assert data.x_train.shape == (5, 28, 28)
    assert dataclasses.asdict(data)["y_test"].shape == (3,)
