"""The benchmark of the rate at inference: its estimates, and what it measures."""

import numpy as np
import pytest

from applications.experiment import csv_tables
from benchmarks.rate_at_inference import __main__ as rate_at_inference
from benchmarks.rate_at_inference import estimates as of
from keras_slashed.layers import RateNormalization
from tests.support import to_numpy


@pytest.mark.parametrize("normalization", ["batch", "feature"])
def test_the_moving_average_is_what_the_layer_keeps(normalization):
    layer = RateNormalization(1.0, normalization, momentum=0.8)
    batches = np.random.default_rng(0).normal(size=(5, 8, 6)).astype("float32")
    for batch in batches:
        layer(batch, training=True)
    real, imaginary = np.split(np.float64(batches), 2, axis=-1)
    squares = np.mean(real**2 + imaginary**2, axis=1)
    if normalization == "batch":
        squares = squares.sum(axis=-1)
    kept = to_numpy(layer.moving_mean_square) / to_numpy(layer.moving_weight)
    np.testing.assert_allclose(of.moving_average(squares, 0.8), kept, rtol=1e-5)


def test_estimates_of_steady_growth():
    """An average lags behind a line, by a constant in the end; its correction does not."""
    squares = 5.0 + np.arange(200.0)
    np.testing.assert_allclose(of.moving_average(squares, 0.9), 204.0 - 9.0, rtol=1e-6)
    np.testing.assert_allclose(of.growth_corrected(squares, 0.9), 204.0, rtol=1e-4)
    assert of.last_mean(squares, 3) == 203.0
    found = of.estimates(np.ones((7, 3)), 2)
    assert len(found) == 7
    for estimate in found.values():
        np.testing.assert_allclose(estimate, np.ones(3))


@pytest.mark.experiment("torch")
def test_a_table(tmp_path, capsys):
    command = f"--output {tmp_path} --seeds 1 --epochs 1 2 --learning-rates 0.01"
    rate_at_inference.main(command.split())
    (table,) = tmp_path.glob("*.csv")
    rows = csv_tables.read_rows(table)
    assert len(rows) == 2 * 2 * 8
    for row in rows:
        exact = row["estimate"] == "calibrated"
        assert (abs(float(row["ratio"]) - 1.0) < 1e-5) == exact
        if row["normalization"] == "feature":
            spread = float(row["highest_share"]) - float(row["lowest_share"])
            assert (spread < 1e-4) == exact
    text = table.with_suffix(".md").read_text()
    assert text in capsys.readouterr().out
    assert '## "feature", learning rate 0.01, seed 0' in text
