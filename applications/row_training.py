"""Training one row of a table: from its checkpoint where there is one, with a history."""

import dataclasses
import json
import os
import pathlib
import time

import keras

from applications.checkpoint import Checkpoint
from applications.history import History
from applications.provenance import backend
from applications.provenance import commit
from applications.result_table import other_backend
from applications.results import TableError


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

    def description(self):
        """Return what the row's checkpoint says of its making, a dict; empty without one.

        Raises:
            TableError: The file is damaged.
        """
        path = self.checkpoints / "setting.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise TableError(
                f"{path} is damaged: {error}. Delete its folder to train the row from its start."
            ) from None

    def describe(self, description):
        """Write what `description` returns; the file is replaced as a whole."""
        path = self.checkpoints / "setting.json"
        new = path.with_name("new.setting.json")
        new.write_text(json.dumps(description, indent=2), encoding="utf-8")
        os.replace(new, path)

    @property
    def commit(self):
        """The commit at which the row was trained, or several with commas between."""
        return ", ".join(self.description()["commits"])


def made_by_this_backend(files):
    """Return what a row's checkpoint says of its making, a dict; empty without one.

    Args:
        files: The `RowFiles`.

    Raises:
        TableError: Another backend made it.
    """
    description = files.description()
    # One of the time before it was noted is taken to be of the present backend.
    name = description.get("backend", backend()).partition(" ")[0]
    if name != keras.backend.backend():
        raise TableError(
            f"The checkpoint in {files.checkpoints} was made by {description['backend']}. "
            f"{other_backend(name)[:-1]}, or delete that folder."
        )
    return description


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

    Raises:
        TableError: The checkpoint is of another backend, or the history damaged.
    """
    before = made_by_this_backend(files)
    files.checkpoints.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(files.checkpoints, steps_per_epoch, setting.epochs, seconds)
    initial_epoch = checkpoint.restore(model)
    commits = before.get("commits", ["unknown"]) if initial_epoch else []
    files.describe(
        {
            **dataclasses.asdict(setting),
            "data_sha256": data_sha256,
            "backend": backend(),
            "commits": list(dict.fromkeys([*commits, commit()])),
        }
    )
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
