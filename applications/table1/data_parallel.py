"""Train a classifier of Table 1 on several devices, each on its share of every batch.

The bottleneck computes its statistics over the whole batch of all devices, so that the rate and
the training are the same as on one device.
"""

import pathlib
import shutil
import sys
import time

import keras
import numpy as np

from applications.datasets import images
from applications.experiment import claims
from applications.experiment import provenance
from applications.experiment.command_line import image_source
from applications.experiment.csv_tables import markdown_table
from applications.experiment.result_table import ResultTable
from applications.experiment.resumable_training import Seconds
from applications.table1.compiled_classifier import build_classifier
from applications.table1.compiled_classifier import compile_for_training
from applications.table1.config import ADDED_COLUMNS
from applications.table1.config import Setting
from applications.training import devices
from applications.training.epoch_seeds import EpochSeeds
from applications.training.epoch_seeds import ShuffledBatches
from applications.training.epoch_seeds import set_noise
from keras_slashed.callbacks import RateMonitor

_SETTING = tuple(Setting().columns())
_MEASURED = ("rate_nats", "target_nats", "train_error", "test_error", "epoch_seconds", "seconds")
COLUMNS = (
    *("normalization", "r", "devices", *_MEASURED),
    *(name for name in _SETTING if name not in ("normalization", "r")),
    *("data", "data_sha256"),
    *provenance.COLUMNS,
)
_SHOWN = ("normalization", "r", "devices", "batch_size", "epochs", "rate_nats", "target_nats",
            "train_error", "test_error", "epoch_seconds")  # fmt: skip


class SharedBatches(ShuffledBatches):
    """Shuffled batches of equal size, of which each process supplies its share.

    The remaining images of an epoch, fewer than a batch, are skipped. They differ in each
    epoch.

    Args:
        x: Array of inputs.
        y: Array of labels.
        batch_size: Integer. Batch size over all processes together.
        seed: Integer. Seed of the order.
    """

    def __len__(self):
        return len(self._y) // self._batch_size

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        mine = devices.share()
        return x[mine], y[mine]


def train(setting, source, quiet=True):
    """Train a classifier. `devices.run_on_devices` calls this on each device, or once for all.

    Args:
        setting: `Setting` of the classifier.
        source: Tuple. Arguments of `images.load`.
        quiet: Boolean. If False, a line is printed for each epoch.

    Returns:
        The classifier's weights, and a dict of lists with the logs of its epochs.

    Raises:
        ValueError: If the data set has fewer images than a batch.
    """
    data = images.load(*source)
    keras.utils.set_random_seed(setting.seed)
    classifier = build_classifier(setting, data, synchronized=True)
    model = devices.parallel(classifier)
    batches = SharedBatches(data.x_train, data.y_train, setting.batch_size, setting.seed)
    if len(batches) == 0:
        raise ValueError(
            f"The batch size must be at most the number of images, {len(data.y_train)}. "
            f"Received: batch_size={setting.batch_size}"
        )
    compile_for_training(model, setting, len(batches))
    history = model.fit(
        batches,
        shuffle=False,  # the batches shuffle themselves
        epochs=setting.epochs,
        verbose=0 if quiet else 2,
        callbacks=[EpochSeeds(batches, setting.seed), Seconds(), RateMonitor()],
    )
    logged = {name: devices.mean(values) for name, values in history.history.items()}
    return classifier.get_weights(), logged


def test_error(setting, data, weights):
    """Return the fraction of test images that a trained classifier misclassifies.

    It runs on one device. A VIB averages its class probabilities over draws.
    """
    samples = setting.num_samples if setting.is_stochastic else None
    judge = build_classifier(setting, data, samples)
    judge.set_weights(weights)
    set_noise(judge, setting.seed, setting.epochs)
    logits = judge.predict(data.x_test, batch_size=500, verbose=0)
    return float(np.mean(np.argmax(logits, axis=-1) != data.y_test))


def run_rows(module, settings, options):
    """Train each setting on `options.devices` devices, and print and write the rows.

    Rows that are in the table, or that another command is training, are not trained again. For
    the arguments, the returned rows and the `TableError` see `row_runner.run_rows`.

    Raises:
        SystemExit: If the data is not available or has too few images for a batch, or if
            there are too few devices.
    """
    source = image_source(options)
    output = pathlib.Path(options.output)
    path = output / f"devices_{settings[0].dataset}.csv"
    naming = ("normalization", "r", "devices", "epochs", "seed")
    deciding = (*_SETTING, "devices", "data_sha256")
    table = ResultTable(path, COLUMNS, deciding, naming, ADDED_COLUMNS)
    rows = []
    try:
        data = images.load(*source)
        wanted = {"devices": str(options.devices), "data_sha256": data.sha256}
        there = table.rows()
        for setting in settings:
            table.find({**setting.columns(), **wanted}, there)  # refused before any training
        for setting in settings:
            label = f"{setting.label(data.sha256)}_devices{options.devices}"
            folder = output / "checkpoints" / label
            with claims.claim(folder) as is_mine:
                row = table.find({**setting.columns(), **wanted})
                if row is None and not is_mine:
                    print(f"{label} is left to another command, which is training it")
                    continue
                if row is None:
                    row = _row(module, setting, source, data, options)
                    table.append(row)
                shutil.rmtree(folder, ignore_errors=True)
            rows.append(row)
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        sys.exit(str(error))
    print(markdown_table(_SHOWN, [[row[column] for column in _SHOWN] for row in rows]))
    if rows:
        print(provenance.made_by(rows))
    print(f"written to {path}")
    return rows


def _row(module, setting, source, data, options):
    arguments = (setting, source, options.quiet)
    start = time.monotonic()
    weights, history = devices.run_on_devices(options.devices, train, *arguments)
    seconds = time.monotonic() - start
    columns = setting.columns()
    target = f"{setting.target_rate(data.num_classes):.6g}" if columns["r"] else ""
    rate = history.get("bottleneck_rate")
    return {
        "normalization": columns.pop("normalization"),
        "r": columns.pop("r"),
        "devices": str(options.devices),
        "rate_nats": "" if rate is None else f"{rate[-1]:.6g}",
        "target_nats": target,
        "train_error": f"{100 * (1 - history['accuracy'][-1]):.2f}",
        "test_error": f"{100 * test_error(setting, data, weights):.2f}",
        # The last epoch, because the first one includes compilation.
        "epoch_seconds": f"{history['seconds'][-1]:.2f}",
        "seconds": f"{seconds:.0f}",
        **columns,
        "data": data.source,
        "data_sha256": data.sha256,
        **provenance.describe_run(module),
    }
