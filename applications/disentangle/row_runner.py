"""One row: train a VAE, and measure what its latent dimensions know."""

import json
import time

import keras
import numpy as np

from applications.disentangle import evaluation
from applications.disentangle import figure
from applications.disentangle import model
from applications.disentangle.config import Setting
from applications.disentangle.data import load
from applications.disentangle.training import CapacitySchedule
from applications.disentangle.training import SomeBatches
from applications.disentangle.training import UnitRates
from applications.experiment import provenance
from applications.experiment import sealed_weights
from applications.experiment.csv_tables import as_text
from applications.experiment.csv_tables import numbers
from applications.experiment.result_table import ResultTable
from applications.experiment.row_trainer import RowTrainer
from applications.training.epoch_seeds import set_noise
from keras_slashed.calibration import calibrate
from keras_slashed.callbacks import RateMonitor
from keras_slashed.callbacks import RateWarmup

MEASURES = (
    *("reconstruction", "rate", "information", "active_units"),
    *("mig", "factor_vae", "disentanglement", "completeness", "informativeness"),
    *("mig_of_draws", "factor_vae_of_draws", "disentanglement_of_draws"),
    *("completeness_of_draws", "informativeness_of_draws"),
)
_ERRORS = tuple(f"{name}_error" for name in MEASURES[4:])
_SETTING = tuple(Setting().columns())
COLUMNS = (
    *("row", "seed"),
    *MEASURES,
    *_ERRORS,
    *("train_rate", "asked_rate", "mean_miss", "largest_miss", "inference_miss"),
    *(name for name in _SETTING if name not in ("row", "seed")),
    *("label", "data", "data_sha256", "train_seconds", "evaluate_seconds"),
    *provenance.COLUMNS,
)
_PROBED = 500  # images whose rates are logged after each epoch


class RowRunner(RowTrainer):
    """Train and measure rows one after another.

    The data is `FactorData`. The history of a row has the reached rate, the rate that was asked
    for, and the rate of each latent dimension. A trained row also has `measures/<label>.json` and
    `traversals/<label>.png`. For the arguments see `RowTrainer`.
    """

    def __call__(self, setting, report=lambda epoch, logs: None):
        """Run the row of a `Setting`, as `RowTrainer` describes."""
        files = self.files(setting)
        vae, history = self.train(setting, report)
        start = time.monotonic()
        if hasattr(vae.bottleneck, "rate_normalization"):
            calibrate(vae.model, self.data.x_train[:5000], batch_size=500)
        set_noise(vae.model, setting.seed, setting.epochs)
        measured, details = evaluation.evaluate(vae, self.data, setting.seed)
        seconds = time.monotonic() - start
        for folder in ("measures", "traversals"):
            files.path(folder, "").parent.mkdir(parents=True, exist_ok=True)
        sealed_weights.save(vae.model, files.model)
        files.path("measures", ".json").write_text(json.dumps(details) + "\n", encoding="utf-8")
        # Around the image in which the sprite is nearest to the middle, whatever its shape.
        middle = np.abs(self.data.factors_test[:, 3:] - 5.5).sum(axis=1).argmin()
        images = evaluation.traversals(vae, self.data.x_test[middle])
        picture = files.path("traversals", ".png")
        figure.draw_traversals(images, details, self.data.factors, picture)
        columns = setting.columns()
        return {
            "row": columns.pop("row"),
            "seed": columns.pop("seed"),
            **{name: as_text(measured[name]) for name in (*MEASURES, *_ERRORS)},
            **schedule_columns(history, setting.latent_dim),
            **columns,
            "label": setting.label(self.data.sha256),
            **self._origin(setting, history, seconds),
        }

    def train(self, setting, report):
        """Train the VAE of a row, from its checkpoint if there is one.

        Returns:
            The `VAE`, and the history as a list with a dict of strings for each epoch.
        """
        keras.utils.set_random_seed(setting.seed)
        vae = model.build(setting)
        batches = SomeBatches(self.data.x_train, setting.batch_size, setting.steps, setting.seed)
        callbacks = [RateMonitor(), UnitRates(vae.encoder, self.data.x_test[:_PROBED])]
        if setting.row in ("batch", "feature"):
            callbacks.append(RateWarmup(setting.initial, epochs=setting.warmup_epochs))
        elif vae.penalty is not None:
            callbacks.append(CapacitySchedule(vae.penalty, setting.asked))
        return vae, self._fit(vae.model, batches, setting, report, callbacks)


def schedule_columns(history, latent_dim):
    """Return the columns that compare reached and asked rates over the epochs of a history.

    Misses are distances in nats: over the epochs of training their mean and the largest one, and
    the mean at inference after each epoch.
    """
    reached = numbers(history, "latent_rate")
    columns = {"train_rate": as_text(reached[-1])}
    if "latent_target_rate" not in history[0]:
        names = ("asked_rate", "mean_miss", "largest_miss", "inference_miss")
        return columns | dict.fromkeys(names, "")
    asked = numbers(history, "latent_target_rate")
    misses = np.abs(reached - asked)
    at_inference = sum(numbers(history, f"unit{k}_rate") for k in range(latent_dim))
    return columns | {
        "asked_rate": as_text(asked[-1]),
        "mean_miss": as_text(misses.mean()),
        "largest_miss": as_text(misses.max()),
        "inference_miss": as_text(np.abs(at_inference - asked).mean()),
    }


def result_table(path):
    """Return the `ResultTable` of a file with rows from `RowRunner`."""
    return ResultTable(path, COLUMNS, (*_SETTING, "data_sha256"), ("row", "epochs", "seed"))


def make_runner(source, *options):
    """Load the data and return a `RowRunner`. Each worker process calls this once."""
    return RowRunner(load(*source), *options)
