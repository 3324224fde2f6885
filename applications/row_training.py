"""Training one row of a table: from its checkpoint where there is one, with a history."""

import dataclasses
import json
import pathlib
import time

import keras

from applications.checkpoint import Checkpoint
from applications.history import History


class RowFiles:
    """Where the files of a row lie in the output folder.

    Args:
        output: The folder.
        setting: What decides the row: a dataclass with `label(data_sha256)`.
        data_sha256: Checksum of its data.

    Attributes:
        checkpoints: Folder that nobody needs once the row is in the table.
        history: CSV file with a line for each epoch.
        model: The trained weights.
    """

    def __init__(self, output, setting, data_sha256):
        self._output = pathlib.Path(output)
        self._label = setting.label(data_sha256)
        self.checkpoints = self._output / "checkpoints" / self._label
        self.history = self.path("history", ".csv")
        self.model = self.path("models", ".weights.h5")

    def path(self, kind, suffix):
        """Return the path of the row's file of another kind."""
        return self._output / kind / f"{self._label}{suffix}"


def train_row(model, setting, data_sha256, files, steps_per_epoch, seconds, report, fit):
    """Train the model of a row to the setting's last epoch.

    Args:
        model: A compiled model in the state a row begins with.
        setting: What decides the row: a dataclass with `epochs`.
        data_sha256: Checksum of its data.
        files: Its `RowFiles`.
        steps_per_epoch: Training steps in an epoch.
        seconds: Time between two checkpoints at the least.
        report: Called with the number of epochs done, and what the last one logged:
            once at the start and after every epoch.
        fit: Called with `initial_epoch` and a list of callbacks, if an epoch is left.

    Returns:
        The history: a dict of strings for each epoch.
    """
    files.checkpoints.mkdir(parents=True, exist_ok=True)
    description = {**dataclasses.asdict(setting), "data_sha256": data_sha256}
    (files.checkpoints / "setting.json").write_text(json.dumps(description, indent=2))
    checkpoint = Checkpoint(files.checkpoints, steps_per_epoch, setting.epochs, seconds)
    initial_epoch = checkpoint.restore(model)
    history = History(files.history, initial_epoch)
    report(initial_epoch, {})
    if initial_epoch < setting.epochs:
        reporting = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: report(epoch + 1, logs)
        )
        fit(initial_epoch, [history, checkpoint, reporting])
    return history.read()


class Seconds(keras.callbacks.Callback):
    """Log how long each epoch took, its evaluation included."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.monotonic() - self._start
