"""Table 2 on a tiny text: one command from file to table, and rows that are cut short."""

import json

import numpy as np
import pytest

from applications.datasets.texts import load
from applications.datasets.vocabulary import Vocabulary
from applications.experiment import csv_tables
from applications.table2 import __main__ as table2
from applications.table2 import config
from applications.table2 import model_files
from applications.table2 import row_runner
from applications.table2 import variants
from applications.table2.config import TextSetting
from applications.table2.config import preset_of
from applications.table2.config import table2_rows
from applications.table2.variants import TABLE2
from applications.table2.variants import Variant
from tests.damage import flipped_bits

TINY = {"num_layers": 1, "units": 4, "embedding_dim": 3, "latent_dim": 2, "batch_size": 8}


def write_text(folder, lengths):
    """A file of 40 documents: a word again and again, so many times."""
    path = folder / "words.txt"
    rng = np.random.default_rng(0)
    lines = [" ".join([f"w{rng.integers(4)}"] * lengths[n % len(lengths)]) for n in range(40)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_text(tmp_path_factory.mktemp("text"), lengths=(6, 2))


@pytest.fixture
def tiny(monkeypatch):
    """The short preset, tiny."""
    changes = {**TINY, "epochs": 2, "num_samples": 4, "test_documents": 3}
    monkeypatch.setattr(config, "_SHORT", changes)


@pytest.mark.experiment("jax")
def test_one_command_from_file_to_table(text, tiny, tmp_path, capsys, monkeypatch):
    def run(*rows):
        table2.main(["--data", str(text), "--preset", "short", "--output", str(tmp_path),
                     "--rows", *rows])  # fmt: skip
        return capsys.readouterr().out

    out = run("lstm", "feature")
    assert "0 of 2 rows are in" in out
    assert "words feature, seed 0: epoch 0/2, starting" in out
    out = run("feature", "lstm", "vae")
    assert "2 of 3 rows are in" in out
    assert "words feature, seed 0: epoch" not in out
    rows = {row["row"]: row for row in csv_tables.read_rows(tmp_path / "table2_words.csv")}
    assert list(rows) == ["lstm", "feature", "vae"]
    assert list(rows["vae"]) == list(row_runner.COLUMNS)
    assert list(rows["vae"])[:5] == ["row", "nll", "kl", "au", "mi"]
    assert {row["preset"] for row in rows.values()} == {"short"}
    assert {row["documents"] for row in rows.values()} == {"3"}
    assert [rows["lstm"][name] for name in ("kl", "au", "mi", "latent_dim")] == [""] * 4
    # Nine tokens known: an untrained model pays log 9 for each of 3 to 7.
    assert all(2 < float(row["nll"]) < 7 * np.log(9) for row in rows.values())
    # committed to 6, started at 7
    assert 6 <= float(rows["feature"]["train_kl"]) <= 7.01
    for row in rows.values():
        history = csv_tables.read_rows(tmp_path / "history" / f"{row['label']}.csv")
        assert [line["epoch"] for line in history] == ["0", "1"]
        assert "- " in (tmp_path / "texts" / f"{row['label']}.txt").read_text()
        measures = json.loads((tmp_path / "measures" / f"{row['label']}.json").read_text())
        assert np.mean(measures["nll_of_documents"]) == pytest.approx(float(row["nll"]), rel=1e-4)
        if row["kl"]:
            assert sum(measures["unit_rates"]) == pytest.approx(float(row["kl"]), rel=1e-4)
    texts = (tmp_path / "texts" / f"{rows['vae']['label']}.txt").read_text()
    assert texts.count("reconstruction: ") == 3
    assert "From the first document to the second" in texts
    markdown = (tmp_path / "table2_words.md").read_text()
    assert markdown.index("| LSTM |") < markdown.index("| LSTM VAE |") < markdown.index("| Feature")
    # next to the paper's number, and the difference document by document
    measures = [
        json.loads((tmp_path / "measures" / f"{rows[name]['label']}.json").read_text())
        for name in ("feature", "vae")
    ]
    gain = np.subtract(*(one["nll_of_documents"] for one in measures))
    assert f"{gain.mean():+.2f} ± {gain.std(ddof=1) / 3**0.5:.2f}" in markdown
    assert f"{float(rows['feature']['nll']):.2f} (336.95)" in markdown
    for picture in ("table2_words_kl.png", "table2_words_units.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
    assert not list(tmp_path.glob("checkpoints/*"))
    # Of all rows, also where the command asked for one of them.
    drawn = []
    monkeypatch.setattr(table2.figure, "draw", lambda rows, *where: drawn.extend(rows) or [])
    run("vae")
    assert [row["row"] for row in drawn] == ["lstm", "feature", "vae"]

    # What a row left can be used by whoever has its vocabulary.
    data = load(str(text))
    path = tmp_path / "models" / f"{rows['feature']['label']}.weights.h5"
    model = model_files.load(path, data.vocabulary)
    test = row_runner.TextRowRunner(data, tmp_path, "tests").data.test
    amplitude = model.encoder.predict(test.padded(range(len(test)), 7, data.vocabulary), verbose=0)
    assert amplitude.shape == (4, 4)
    with pytest.raises(ValueError, match="trained with another vocabulary"):
        model_files.load(path, Vocabulary.build([["others"]]))
    path.write_bytes(next(flipped_bits(path.read_bytes(), number=0)))
    with pytest.raises(ValueError, match=r"feature.*\.weights\.h5 is damaged"):
        model_files.load(path, data.vocabulary)


@pytest.mark.experiment("torch")
def test_a_killed_row_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    """All that training has for a state: order, dropout and noise, weights, the rate, the
    moving statistics, the weight of the KL, the optimizer and its learning rate.
    """
    everything = Variant(
        "Everything", {"normalization": "batch", "part": "mean"}, learnable=3.0, annealing="cyclic"
    )
    monkeypatch.setitem(variants.VARIANTS, "everything", everything)
    monkeypatch.setitem(TABLE2, "everything", (None,) * 4)
    # All have one length, since JAX compiles each of the three trainings separately.
    data = load(str(write_text(tmp_path, lengths=(3,))))
    options = {**TINY, "num_layers": 2, "dropout": 0.4, "num_samples": 4}
    setting = TextSetting("words", "everything", epochs=3, learning_rate=0.05, **options)

    class Killed(BaseException):
        pass

    def kill(epoch, logs):
        if epoch == 2:
            raise Killed

    undisturbed = row_runner.TextRowRunner(data, tmp_path / "one", "tests", 0.0)(setting)
    with pytest.raises(Killed):
        row_runner.TextRowRunner(data, tmp_path / "two", "tests", 0.0)(setting, kill)
    reports = []
    resumed = row_runner.TextRowRunner(data, tmp_path / "two", "tests", 0.0)(
        setting, lambda epoch, logs: reports.append(epoch)
    )
    assert reports == [2, 3]
    times = ("train_seconds", "evaluate_seconds")
    assert {k: v for k, v in resumed.items() if k not in times} == {
        k: v for k, v in undisturbed.items() if k not in times
    }
    texts, others = (
        (tmp_path / run / "texts" / f"{undisturbed['label']}.txt").read_text()
        for run in ("one", "two")
    )
    assert texts == others


def test_presets_and_labels():
    paper = table2_rows("ptb", "paper")
    assert [row.row for row in paper] == list(TABLE2)
    assert {(row.num_layers, row.units, row.embedding_dim, row.latent_dim) for row in paper} == {
        (3, 512, 512, 32)
    }
    assert {(row.epochs, row.dropout, row.warmup, row.num_samples) for row in paper} == {
        (400, 0.2, 0.1, 100)
    }
    short = table2_rows("ptb", "short")
    assert {preset_of(row) for row in paper} == {"paper"}
    assert {preset_of(row) for row in short} == {"short"}
    assert preset_of(TextSetting(epochs=21)) == ""
    assert len({row.label("data") for row in paper + short}) == 34
    assert paper[0].label("data") != paper[0].label("other data")


def test_data_that_is_not_there(tmp_path):
    for arguments, message in (
        (["--data", str(tmp_path / "none.txt")], "text file .* does not exist"),
        (["--data", "ptb", "--data-dir", str(tmp_path)], "ptb.train.txt"),
        (["--data", "yahoo"], "requires `data_dir`"),
    ):
        with pytest.raises(SystemExit, match=message):
            table2.main([*arguments, "--output", str(tmp_path / "out")])
