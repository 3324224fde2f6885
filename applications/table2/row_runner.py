"""One row of Table 2: train a text model, measure it, and generate texts."""

import json
import time

import keras
import numpy as np

from applications.datasets.text_batches import TextBatches
from applications.datasets.texts import load
from applications.experiment import provenance
from applications.experiment.csv_tables import as_text
from applications.experiment.result_table import ResultTable
from applications.experiment.row_trainer import RowTrainer
from applications.models import lstm_vae
from applications.table2 import evaluation
from applications.table2 import generation
from applications.table2 import model_files
from applications.table2.config import TextSetting
from applications.table2.config import preset_of
from applications.training.backends import for_fit
from applications.training.optimizers import one_cycle
from keras_slashed.callbacks import RateMonitor

_SETTING = tuple(TextSetting().columns())
COLUMNS = (
    *("row", "nll", "kl", "au", "mi", "nll_error", "mi_error", "perplexity", "documents"),
    *("train_kl", "train_reconstruction", "validation_kl", "validation_reconstruction", "preset"),
    *(name for name in _SETTING if name != "row"),
    *("label", "data", "data_sha256", "train_seconds", "evaluate_seconds"),
    *provenance.COLUMNS,
)


class TextRowRunner(RowTrainer):
    """Train and measure rows one after another.

    The data is `TextData`. `model_files.load` reads the model of a trained row. Its
    `measures/<label>.json` has the rate of each latent dimension and the NLL of each document,
    and `texts/<label>.txt` has the texts that it generates. For the arguments see `RowTrainer`.
    """

    def __call__(self, setting, report=lambda epoch, logs: None):
        """Run the row of a `TextSetting`, as `RowTrainer` describes."""
        files = self.files(setting)
        model, history = self.train(setting, report)
        start = time.monotonic()
        test = _some(self.data.test, setting.test_documents)
        measured = evaluation.evaluate(
            model, test, self.data.vocabulary, setting.num_samples, seed=setting.seed
        )
        seconds = time.monotonic() - start
        model_files.save(model, setting, self.data.vocabulary, files.model)
        _write(files.path("measures", ".json"), _details(measured))
        texts = generation.describe(model, test, self.data.vocabulary, setting.seed)
        _write(files.path("texts", ".txt"), texts)
        last = history[-1]
        row = setting.columns()
        return {
            "row": row.pop("row"),
            "nll": as_text(measured.nll),
            "kl": as_text(measured.kl),
            "au": "" if measured.active_units is None else str(measured.active_units),
            "mi": as_text(measured.mutual_information),
            "nll_error": as_text(measured.nll_error),
            "mi_error": as_text(measured.mutual_information_error),
            "perplexity": as_text(measured.perplexity),
            "documents": str(len(test)),
            "train_kl": as_text(last.get("latent_rate")),
            "train_reconstruction": as_text(last["reconstruction"]),
            "validation_kl": as_text(last.get("val_latent_rate")),
            "validation_reconstruction": as_text(last["val_reconstruction"]),
            "preset": preset_of(setting),
            **row,
            "label": setting.label(self.data.sha256),
            **self._origin(setting, history, seconds),
        }

    def train(self, setting, report=lambda epoch, logs: None):
        """Train the model of a row, from its checkpoint if there is one.

        Returns:
            The `LSTMVAE`, and the history as a list with a dict of strings for each epoch.
        """
        keras.utils.set_random_seed(setting.seed)
        words = self.data.vocabulary
        model = lstm_vae.build(len(words), **setting.build_options())
        batches = TextBatches(self.data.train, words, setting.batch_size, setting.seed)
        # The same lengths for both, so that they share their compilations.
        watched = TextBatches(self.data.valid, words, setting.batch_size, lengths=batches.lengths)
        steps = setting.epochs * len(batches)
        optimizer = keras.optimizers.Adam(one_cycle(setting.learning_rate, steps, setting.warmup))
        model.compile(optimizer)
        optimizer.build(model.training.trainable_variables)
        callbacks = [RateMonitor()] if setting.has_latent else []
        callbacks += setting.variant.callbacks(steps, setting.warmup)
        validation = {"validation_data": for_fit(watched)}
        return model, self._fit(model.training, batches, setting, report, callbacks, **validation)


def result_table(path):
    """Return the `ResultTable` of a file with rows from `TextRowRunner`."""
    return ResultTable(path, COLUMNS, (*_SETTING, "data_sha256"), ("row", "epochs", "seed"))


def make_runner(dataset, options, *more):
    """Load the data and return a `TextRowRunner`. Each worker process calls this once."""
    return TextRowRunner(load(dataset, **options), *more)


def _some(corpus, count):
    """Return `count` documents, the same ones for every row, or all of them for 0."""
    if not 0 < count < len(corpus):
        return corpus
    return corpus.select(np.sort(np.random.default_rng(0).permutation(len(corpus))[:count]))


def _details(measured):
    values = {
        "unit_rates": measured.unit_rates,
        "unit_variances": measured.unit_variances,
        "nll_of_documents": measured.nll_of_documents,
    }
    values = {
        name: [float(f"{value:.6g}") for value in array]
        for name, array in values.items()
        if array is not None
    }
    return json.dumps(values) + "\n"


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
