"""`applications.layer_attributions` from the command line to its files, on digits."""

import csv

import numpy as np
import pytest

from applications.layer_attributions import __main__ as layer_attributions

pytestmark = pytest.mark.experiment("torch")
OPTIONS = [
    *("--dataset", "digits", "--epochs", "6", "--images", "10", "--sanity-images", "4"),
    *("--mosaics", "8", "--steps", "3", "--num-samples", "4", "--blur", "2"),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("layer_attributions")


@pytest.fixture(scope="module")
def rows(output):
    layer_attributions.main([*OPTIONS, "--output", str(output)])
    with open(output / "layers_digits.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_table(rows, output):
    assert len(rows) == 3 * 6
    assert list(dict.fromkeys(row["layer"] for row in rows)) == [
        *("pixels", "convolution_1", "convolution_2")
    ]
    for row in rows:
        for name in ("deletion", "insertion"):
            assert 0 < float(row[name]) < 1
        assert 8 * float(row["pointing"]) == round(8 * float(row["pointing"]))
        assert row["positions"] == "8x8"
        assert (row["images"], row["mosaics"], row["model"]) == ("10", "8", "conv_net")
        assert row["data_sha256"]
        assert row["commit"]
        has_nats = "amplitude" in row["map"] or "IBA" in row["map"]
        assert (float(row["nats"]) > 0) if has_nats else row["nats"] == ""
        assert bool(row["residual"]) == ("amplitude" in row["map"])
        known = row["map"] != "random"
        assert bool(row["random_last_layer"]) == bool(row["random_all_layers"]) == known
        difference = float(row["pointing"]) - float(row["pointing_less_amplitude"])
        same = (one for one in rows if one["layer"] == row["layer"] and one["map"] == "amplitude")
        assert difference == pytest.approx(float(next(same)["pointing"]), abs=2e-4)


def test_pages_and_pictures(rows, output):
    text = (output / "layers_digits.md").read_text()
    for row in rows:
        assert f"| {float(row['deletion']):.3f} ± {float(row['deletion_error']):.3f}" in text
    assert text.splitlines()[-1].startswith("Made by (number of rows): ")
    for name in ("layers_digits", "layers_digits_mosaics"):
        assert (output / f"{name}.png").stat().st_size > 10_000


def test_a_better_map_than_noise(rows):
    """At the last layer, whose features decide the class."""
    last = {row["map"]: row for row in rows if row["layer"] == "convolution_2"}
    deletion = {name: float(row["deletion"]) for name, row in last.items()}
    assert deletion["gradient x activation"] < deletion["random"]
    assert np.isfinite(list(deletion.values())).all()


def test_an_unknown_layer(output):
    with pytest.raises(ValueError, match=r"convolution_2\. Received: attention"):
        layer_attributions.main([*OPTIONS, "--layers", "attention", "--output", str(output)])
