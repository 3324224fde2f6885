"""The table and the picture of a diagnosis: they say what its numbers are."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from keras_slashed.diagnostics import Diagnosis

matplotlib.use("Agg")


def diagnosis(size=4, **changes):
    """Four kinds of latent dimension, again and again, their rates falling."""
    kinds = np.arange(size) % 4
    scale = 1.0 / (1 + np.arange(size) // 4)
    fields = dict(
        rate=np.array([0.0, 1.25, 0.5, 0.0])[kinds] * scale,
        gradient_rate=np.array([0.0, 1.2401, 0.9, 0.375])[kinds] * scale,
        residual=np.array([-0.00002, 0.0101, 0.0254, 0.3752])[kinds],
        standard_error=np.array([0.0001, 0.003, 0.004, 0.011])[kinds],
        variance=np.array([0.0, 0.8125, 0.4, 0.0099])[kinds],
        price=np.ones(size),
        beta=0.75,
        loss=12.3456,
        threshold=0.01,
        tolerance=0.05,
        num_instances=100,
        num_samples=64,
    )
    return Diagnosis(**{**fields, **changes})


def rows(text):
    """The cells of the rows of latent dimensions."""
    cells = [line.split() for line in text.splitlines()]
    return [row for row in cells if len(row) == 8 and row[0].isdigit()]


def test_verdicts():
    """Three standard errors to either side of 5 % of the rate, or of 0.005 nats."""
    result = diagnosis()
    np.testing.assert_allclose(result.allowed, [0.005, 0.0625, 0.025, 0.005])
    assert result.holds.tolist() == [True, True, False, False]
    assert result.fails.tolist() == [False, False, False, True]
    assert result.collapsed.tolist() == [True, False, False, True]
    np.testing.assert_allclose(result.gradient_norm[1], 1.5 * 1.2401**0.5)
    negative = diagnosis(gradient_rate=np.full(4, -1e-4))
    assert (negative.gradient_norm == 0.0).all()


def test_table():
    result = diagnosis()
    text = str(result)
    assert repr(result) == text
    assert rows(text) == [
        ["1", "1.2500", "1.2401", "0.0101", "0.0030", "0.8125", "active", "holds"],
        ["2", "0.5000", "0.9000", "0.0254", "0.0040", "0.4000", "active", "undecided"],
        ["0", "0.0000", "0.0000", "0.0000", "0.0001", "0.0000", "collapsed", "holds"],
        ["3", "0.0000", "0.3750", "0.3752", "0.0110", "0.0099", "collapsed", "fails"],
    ]
    (total,) = (line.split() for line in text.splitlines() if line.startswith("  all"))
    assert total == ["all", "1.7500", "2.5151", "0.4107", "2", "active", "2", "hold"]
    for phrase in (
        "beta = 0.75",
        "100 instances, 64 draws of each; reconstruction term 12.3456 nats",
        "2 of 4 latent dimensions are collapsed.",
        "holds in 1 of 2 active and 1 of 2 collapsed ones",
        "would raise the rate in 1 and lower it in 0",
        "1 undecided: more draws",
    ):
        assert phrase in text
    widths = {len(line) for line in text.splitlines() if line.endswith(("holds", "fails"))}
    assert len(widths) == 1  # columns are aligned
    assert max(map(len, text.splitlines())) <= 120


def test_many_dimensions():
    """The largest and the smallest rates; all of them where asked."""
    result = diagnosis(100)
    order = np.argsort(-result.rate, kind="stable")
    shown = [int(row[0]) for row in rows(str(result))]
    assert shown == [*order[:16], *order[-16:]]
    assert "... 68 more ..." in str(result)
    assert [int(row[0]) for row in rows(result.table(max_rows=100))] == order.tolist()
    assert len(rows(result.table(max_rows=5))) == 5


@pytest.mark.parametrize("size", [1, 4, 100])
def test_picture(size, tmp_path):
    result = diagnosis(size)
    figure = result.plot(tmp_path / "diagnosis.png")
    pixels = imread(tmp_path / "diagnosis.png")
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50
    top, bottom = figure.axes
    order = np.argsort(-result.rate, kind="stable")
    heights = [[bar.get_height() for bar in bars] for bars in top.containers[:2]]
    np.testing.assert_allclose(heights[0], result.rate[order])
    np.testing.assert_allclose(heights[1], result.gradient_rate[order])
    drawn = np.concatenate([container[0].get_xydata() for container in bottom.containers])
    drawn = drawn[np.argsort(drawn[:, 0])]
    np.testing.assert_allclose(drawn[:, 1], result.residual[order])
    low, high = bottom.get_ylim()
    assert low < result.residual.min()
    assert result.residual.max() < high
    labels = [int(label.get_text()) for label in bottom.get_xticklabels()]
    assert labels == order[:: max(1, -(-size // 40))].tolist()


def test_unwritten_picture_of_one_instance():
    """Standard errors are NaN then: points without bars."""
    figure = diagnosis(standard_error=np.full(4, np.nan)).plot()
    assert len(figure.axes) == 2
    figure.draw_without_rendering()


def test_a_threshold_of_zero():
    result = diagnosis(threshold=0.0)
    assert result.collapsed.tolist() == [True, False, False, False]  # a variance of 0 is collapsed
