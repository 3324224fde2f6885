"""The curves of Figures 2 and 3, against SciPy's Lambert W and closed forms."""

import numpy as np
import pytest
from scipy.special import lambertw

from applications.experiment import csv_tables
from applications.figures import __main__ as figures
from applications.figures import figure2
from applications.figures import figure3


def test_roots():
    """Eq. 8: M_0 = -W_0(-exp(k - 1)), M_1 = -W_-1(-exp(k - 1))."""
    k = np.array([-3.0, -1.0, -0.2, -0.01])
    low, high = figure2.roots(k)
    np.testing.assert_allclose(low, -lambertw(-np.exp(k - 1), 0).real, rtol=1e-12)
    np.testing.assert_allclose(high, -lambertw(-np.exp(k - 1), -1).real, rtol=1e-12)
    np.testing.assert_allclose(figure2.roots([0.0]), 1.0)


def test_curves():
    x = np.array([-2.0, 0.5, 3.0])
    y, slope, softplus = figure2.curves(x)
    branch = np.where(x < 0, 0, -1)
    expected = np.sqrt([-lambertw(-np.exp(-(v**2) - 1), b).real for v, b in zip(x, branch)])
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    step = 1e-6
    difference = (figure2.curves(x + step)[0] - figure2.curves(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)
    np.testing.assert_allclose(softplus, np.log1p((np.e - 1) * np.exp(x)), rtol=1e-14)
    assert [curve[0] for curve in figure2.curves(np.zeros(1))] == pytest.approx(
        [1.0, 0.5**0.5, 1.0]
    )


def test_algorithm_1_gains_digits_with_each_iteration():
    rows = figure3.measure(points=100)
    for dtype, floor in (("float32", 2e-5), ("float64", 1e-12)):
        errors = {
            row["iterations"]: float(row["error_beyond_0.04"])
            for row in rows
            if row["dtype"] == dtype and row["method"] == "algorithm_1"
        }
        assert errors[1] > errors[2] > errors[3]
        assert errors[5] < floor
    ours = {row["dtype"]: float(row["error"]) for row in rows if row["method"] == "keras_slashed"}
    assert ours["float32"] < 5e-6  # of numbers up to 50
    assert ours["float64"] < 2e-14


def test_the_reference_solves_the_equation():
    """log(y^2) - y^2 = -x^2 - 1, at both sides of 0."""
    x = np.array([-5.0, -0.3, 0.3, 5.0])
    log = figure3.exact_log_stdplus(x)
    np.testing.assert_allclose(2 * log - np.exp(2 * log), -(x**2) - 1, rtol=1e-13)
    assert (np.sign(log) == np.sign(x)).all()


def test_the_command(tmp_path, monkeypatch):
    measure = figure3.measure
    monkeypatch.setattr(figure3, "measure", lambda: measure(points=50))
    figures.main(["--output", str(tmp_path)])
    for name in ("figure2.png", "figure3.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    rows = csv_tables.read_rows(tmp_path / "figure3.csv")
    assert {row["method"] for row in rows} == {"algorithm_1", "keras_slashed"}
    assert rows[0]["command"].startswith("python -m applications.figures")
