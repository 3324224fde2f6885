"""`applications.token_attributions` from the command line to its files, on the grammar."""

import csv

import numpy as np
import pytest

from applications.token_attributions import __main__ as token_attributions
from applications.token_attributions import grammar

pytestmark = pytest.mark.experiment("torch")
OPTIONS = ["--train-sentences", "800", "--epochs", "3", "--learning-rate", "1e-2"]
SMALL = ["--width", "16", "--heads", "2", "--blocks", "1", "--max-length", "12", "--quiet"]
CHEAP = ["--sentences", "24", "--steps", "4", "--num-samples", "4"]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def rows(output):
    token_attributions.main([*OPTIONS, *SMALL, *CHEAP, "--output", str(output)])
    return read(output, "tokens_grammar.csv")


def read(output, name):
    with open(output / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table(rows, output):
    assert len(rows) == 10
    by_name = {row["map"]: row for row in rows}
    for row in rows:
        for kind in ("deletion", "masking", "insertion"):
            assert 0 < float(row[kind]) < 1
            assert float(row[f"{kind}_error"]) > 0
        assert row["sentences"] == "24"
        assert row["command"].startswith("python -m applications.token_attributions")
        assert row["data_sha256"]
        assert (row["nats"] != "") == row["map"].startswith("amplitude")
    assert float(rows[0]["accuracy"]) > 0.95
    # The noun that decides is worth more than any word.
    for name in ("amplitude", "integrated gradients"):
        assert float(by_name[name]["deletion_less_amplitude"]) < 0.1
        assert float(by_name[name]["deletion"]) < float(by_name["random"]["deletion"]) - 0.05
        assert float(by_name[name]["insertion"]) > float(by_name["random"]["insertion"]) + 0.05
    text = (output / "tokens_grammar.md").read_text()
    assert f"{float(by_name['occlusion']['insertion']):.3f}" in text
    assert text.splitlines()[-1].startswith("Made by (number of rows): ")


def test_the_nats_are_in_the_words_that_decide(rows, output):
    words = read(output, "tokens_grammar_words.csv")
    deciding = {
        (word, name)
        for name, nouns in zip(grammar.CLASSES, grammar.DECIDING, strict=True)
        for word in nouns
    }
    own = [float(row["nats"]) for row in words if (row["word"], row["class"]) in deciding]
    others = [float(row["nats"]) for row in words if (row["word"], row["class"]) not in deciding]
    assert len(own) > 5
    assert np.mean(own) > 3 * np.mean(others)


def test_curves(rows, output):
    curves = read(output, "tokens_grammar_curves.csv")
    assert len(curves) == 3 * 10 * 21
    deletion = [line for line in curves if line["curve"] == "deletion"]
    begin = {line["probability"] for line in deletion if float(line["share"]) == 0}
    assert len(begin) == 1, "before any token is deleted, all maps have the same probability"


def test_pictures(rows, output):
    for name in ("curves", "nats"):
        assert (output / f"tokens_grammar_{name}.png").stat().st_size > 10_000


def test_wrong_options(capsys, tmp_path):
    with pytest.raises(SystemExit):
        token_attributions.main(["--width", "10"])
    assert "--width: must be a multiple of --heads, not 10" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"does not contain ptb\.train\.txt"):
        token_attributions.main(["--data-dir", str(tmp_path), "--output", str(tmp_path)])
