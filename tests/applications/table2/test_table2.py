"""Table 2 on a tiny text: one command from file to table, and rows that are cut short."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from applications.datasets.corpus import Corpus
from applications.datasets.texts import load
from applications.datasets.vocabulary import Vocabulary
from applications.experiment import csv_tables
from applications.experiment.resumable_training import RowFiles
from applications.models import lstm_vae
from applications.table2 import __main__ as table2
from applications.table2 import config
from applications.table2 import evaluation
from applications.table2 import model_files
from applications.table2 import row_runner
from applications.table2 import variants
from applications.table2.config import TextSetting
from applications.table2.config import preset_of
from applications.table2.config import table2_rows
from applications.table2.variants import TABLE2
from applications.table2.variants import VARIANTS
from applications.table2.variants import Variant
from keras_slashed.callbacks import KLWarmup
from tests.damage import flipped_bits
from tests.support import ROOT
from tests.support import to_numpy

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


RESULTS = ROOT / "results"


DOCUMENTS = [["a"] * (1 + n % 3) for n in range(12)]


WORDS = Vocabulary.build(DOCUMENTS)


class Text:
    """A text whose parts have different lengths."""

    vocabulary = WORDS
    source, sha256 = "here", "0"
    train, valid, test = (Corpus.encode(DOCUMENTS[:n], WORDS) for n in (12, 5, 4))


SMALL = {"num_layers": 2, "units": 4, "embedding_dim": 3, "latent_dim": 2, "batch_size": 4}


@pytest.mark.parametrize("name", ["ptb", "yahoo"])
def test_committed_rows_of_table_2_are_those_of_their_preset(name):
    for row in row_runner.result_table(RESULTS / f"short/table2_{name}.csv").rows():
        given = {
            field.name: field.type(row[field.name])
            for field in dataclasses.fields(TextSetting)
            if row[field.name] != ""
        }
        if name == "yahoo":  # one epoch, 250 documents
            given |= {"epochs": 4, "test_documents": 500}
        setting = TextSetting(**given)
        if setting.variant.learnable is None:
            setting = dataclasses.replace(setting, rate_scale=20.0)
        assert preset_of(setting) == "short"


def test_the_paper_preset_has_what_the_documents_say():
    setting = TextSetting()
    assert (setting.batch_size, setting.learning_rate, setting.rate_scale) == (32, 1e-3, 1.0)
    assert VARIANTS["batchnorm"].build_options() == {"batch_norm_gamma": 0.6}
    assert VARIANTS["decoupled_8"].build_options(20.0)["rate"].scale == 20.0


def test_the_scale_of_a_decoupled_rate_is_an_option():
    arguments = ["--preset", "short", "--rate-scale", "100", "--rows", "decoupled_8"]
    (setting,) = table2.settings(table2.parse_arguments(arguments), "ptb")
    assert setting.build_options()["rate"].scale == 100.0
    assert preset_of(setting) == ""


@pytest.mark.parametrize("name", ["vae", "warmup", "cyclic"])
def test_how_a_row_of_table_2_is_trained(tmp_path, monkeypatch, name):
    """Over all its steps, with its annealing, and watched on the validation part."""
    runner = row_runner.TextRowRunner(Text(), tmp_path, "tests")
    setting = TextSetting("words", name, epochs=5, learning_rate=0.5, warmup=0.2, seed=3, **SMALL)
    trained = {}

    def fit(model, batches, setting, report, callbacks, validation_data):
        trained.update(batches=batches, callbacks=callbacks, watched=validation_data)
        return []

    monkeypatch.setattr(runner, "_fit", fit)
    model, _ = runner.train(setting)
    rate = model.training.optimizer._learning_rate
    assert len(trained["batches"]) == 3
    rates = [float(to_numpy(rate(step))) for step in range(16)]
    assert np.argmax(rates) == 3
    assert rates[3] == pytest.approx(0.5)
    assert rates[15] == pytest.approx(0.5 / 250_000)
    assert len(trained["batches"].corpus) == 12
    assert trained["batches"].seed == 3
    if keras.backend.backend() != "tensorflow":
        assert len(trained["watched"].corpus) == 5
    assert trained["watched"] is not None
    annealing = [type(callback).__name__ for callback in trained["callbacks"][1:]]
    assert annealing == {"vae": [], "warmup": ["KLWarmup"], "cyclic": ["CyclicalAnnealing"]}[name]
    if name == "warmup":
        assert isinstance(trained["callbacks"][1], KLWarmup)
        assert trained["callbacks"][1].steps == 3
    keras.utils.set_random_seed(3)
    again = lstm_vae.build(len(WORDS), **setting.build_options())
    for one, other in zip(again.training.get_weights(), model.training.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_stands_in_a_row_of_table_2(tmp_path, monkeypatch):
    runner = row_runner.TextRowRunner(Text(), tmp_path, "tests")
    names = ("latent_rate", "reconstruction", "val_latent_rate", "val_reconstruction")
    history = [
        {**dict(zip(names, map(str, numbers))), "seconds": "20"}
        for numbers in ((1, 2, 3, 4), (5, 6, 7, 8))
    ]
    given = []

    def evaluate(model, corpus, vocabulary, num_samples, seed):
        given.append((len(corpus), num_samples, seed))
        return evaluation.TextEvaluation(
            nll=11, nll_error=12, nll_of_documents=np.ones(4), perplexity=13, kl=14,
            unit_rates=np.ones(2), unit_variances=np.ones(2), active_units=15,
            mutual_information=16, mutual_information_error=17,
        )  # fmt: skip

    monkeypatch.setattr(runner, "train", lambda *_: (None, history))
    monkeypatch.setattr(row_runner.evaluation, "evaluate", evaluate)
    monkeypatch.setattr(row_runner.model_files, "save", lambda *_: None)
    monkeypatch.setattr(row_runner.generation, "describe", lambda *_: "")
    monkeypatch.setattr(RowFiles, "commit", "abc")
    row = runner(TextSetting("words", seed=9, num_samples=8))
    assert given == [(4, 8, 9)]
    columns = ("nll", "nll_error", "perplexity", "kl", "au", "mi", "mi_error", "documents")
    assert [row[name] for name in columns] == ["11", "12", "13", "14", "15", "16", "17", "4"]
    columns = ("train_kl", "train_reconstruction", "validation_kl", "validation_reconstruction")
    assert [row[name] for name in columns] == ["5", "6", "7", "8"]
    assert row["train_seconds"] == "40"
