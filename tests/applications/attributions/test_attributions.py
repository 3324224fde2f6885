"""`applications.attributions` from the command line to its files, on digits."""

import csv

import numpy as np
import pytest

from applications.attributions import __main__ as attributions
from tests.damage import flipped_bits

OPTIONS = ["--dataset", "digits", "--preset", "short", "--epochs", "3", "--images", "12"]
CHEAP = ["--steps", "3", "--num-samples", "4", "--blur", "2"]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("attributions")


@pytest.fixture(scope="module")
def rows(output):
    attributions.main([*OPTIONS, *CHEAP, "--output", str(output)])
    with open(output / "attribution_digits.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_table(rows, output):
    assert len(rows) == 14
    by_name = {row["map"]: row for row in rows}
    for row in rows:
        for kind in ("deletion", "insertion"):
            assert 0 < float(row[kind]) < 1
            assert float(row[f"{kind}_error"]) > 0
        assert row["images"] == "12"
        assert row["data_sha256"]
    # Pixels that a trained model looks at are worth more than any.
    assert float(by_name["integrated gradients"]["deletion"]) < float(by_name["random"]["deletion"])
    assert by_name["amplitude"]["gradients"] == "16"
    assert by_name["random"]["random_all_layers"] == ""
    assert abs(float(by_name["gradient"]["random_all_layers"])) < 0.9
    text = (output / "attribution_digits.md").read_text()
    assert f"{float(by_name['gradient']['insertion']):.3f}" in text
    assert text.splitlines()[-1].startswith("Made by (number of rows): ")


def test_curves(rows, output):
    with open(output / "attribution_digits_curves.csv", newline="") as file:
        curves = list(csv.DictReader(file))
    assert len(curves) == 2 * 14 * 29
    for row in rows:
        values = [
            float(line["probability"])
            for line in curves
            if line["map"] == row["map"] and line["curve"] == "deletion"
        ]
        area = np.trapezoid(values, dx=1 / 28)
        assert area == pytest.approx(float(row["deletion"]), abs=1e-3)


def test_pictures(rows, output):
    for name in ("curves", "maps", "nats"):
        assert (output / f"attribution_digits_{name}.png").stat().st_size > 10_000


def test_trained_once(rows, output, capsys):
    """A second comparison takes the weights that lie there, and gives the same."""
    again = attributions.main([*OPTIONS, *CHEAP, "--output", str(output)])
    assert ": training" not in capsys.readouterr().out
    for one, other in zip(rows, again):
        assert one["deletion"] == other["deletion"]
        assert one["random_all_layers"] == other["random_all_layers"]


def test_an_unknown_row(capsys):
    with pytest.raises(SystemExit):
        attributions.main([*OPTIONS, "--row", "bottle"])
    assert "digits has no row 'bottle'" in capsys.readouterr().err


def test_damaged_weights(rows, output):
    (path,) = output.glob("models/*.weights.h5")
    content = path.read_bytes()
    path.write_bytes(next(flipped_bits(content, number=0)))
    with pytest.raises(ValueError, match=r"\.weights\.h5 is damaged"):
        attributions.main([*OPTIONS, *CHEAP, "--output", str(output)])
    path.write_bytes(content)
