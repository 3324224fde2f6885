"""Training one row of a table: from its checkpoint where there is one, with a history."""

import csv
import dataclasses
import json
import os
import pathlib
import time

import keras
import numpy as np

from applications.experiment import csv_tables
from applications.experiment import sealed_weights
from applications.experiment.csv_tables import TableError
from applications.experiment.provenance import backend
from applications.experiment.provenance import commit
from applications.experiment.result_table import other_backend


class History(keras.callbacks.Callback):
    """Append a line to a CSV file after each epoch.

    Unlike `keras.callbacks.CSVLogger` it holds no file open, and knows the epochs that
    a killed run left.

    Args:
        path: The file; it may be missing.
        initial_epoch: Lines from this epoch on, which are to be trained again, go.

    Raises:
        TableError: A line is damaged or missing. The half line of a process that was killed
            is not counted: it is the last one, and goes.
    """

    def __init__(self, path, initial_epoch=0):
        super().__init__()
        self._path = pathlib.Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = ""
        if self._path.exists():
            text = self._path.read_text(encoding="utf-8", errors="replace")
        text = text[: text.rfind("\n") + 1]
        rows = csv_tables.parse_rows(text, self._path)
        for epoch in range(max(initial_epoch, len(rows))):
            _check_line(self._path, epoch, rows[epoch] if epoch < len(rows) else {})
        self._names = list(rows[0]) if initial_epoch else None
        lines = text.splitlines(keepends=True)[: 1 + initial_epoch] if initial_epoch else []
        # Replaced as a whole: killed here, the epochs of the checkpoint are not trained again.
        new = self._path.with_suffix(".tmp")
        new.write_text("".join(lines), encoding="utf-8")
        os.replace(new, self._path)

    def read(self):
        """Return the lines, dicts of strings."""
        return csv_tables.read_rows(self._path)

    def on_epoch_end(self, epoch, logs=None):
        # Not every epoch is evaluated; all have the columns.
        evaluated = {name for name in logs if name.startswith("val_")}
        trained = sorted(logs.keys() - evaluated)
        names = ["epoch", *trained, *(f"val_{name}" for name in trained if name != "seconds")]
        row = {"epoch": epoch, **logs}
        is_new = self._names is None
        self._names = self._names or names
        if names != self._names:
            raise csv_tables.TableError(
                f"{self._path} has other columns than an epoch logs. Expected: {names}. "
                f"Received: {self._names}. Delete the row's checkpoint to train it again."
            )
        with open(self._path, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)


def _check_line(path, epoch, row):
    """Refuse a line that is not that of an epoch, all in numbers."""
    try:
        whole = row.get("epoch") == str(epoch)
        [float(value) for value in row.values() if value]
    except ValueError:
        whole = False
    if not whole:
        raise csv_tables.TableError(
            f"{path}, line {epoch + 2} is damaged. Expected: epoch {epoch} and what it logged. "
            f"Received: {','.join(row.values()) or 'no such line'}"
        )


class Checkpoint(keras.callbacks.Callback):
    """Save weights and optimizer after epochs, and restore them.

    How many epochs were trained is not written beside them: the optimizer's count of
    steps tells. The last two checkpoints are kept, each with its checksum: if the last
    one is damaged, training goes on from the one before.

    Args:
        folder: Where the files lie.
        steps_per_epoch: Steps of the optimizer in an epoch.
        epochs: Epochs in all; after the last one it is always saved.
        seconds: Time between two saves at the least.
    """

    def __init__(self, folder, steps_per_epoch, epochs, seconds=20.0):
        super().__init__()
        self.path = pathlib.Path(folder) / "latest.weights.h5"
        self._previous = self.path.with_name("previous.weights.h5")
        self._steps_per_epoch = steps_per_epoch
        self._epochs = epochs
        self._seconds = seconds
        self._saved_at = time.monotonic()

    def restore(self, model):
        """Load the last checkpoint that is whole, if there is one.

        A damaged one is renamed, so that it takes no other's place, and a line printed that
        says so. A checkpoint of the time before they had checksums is taken to be whole if
        it can be loaded.

        Returns:
            The number of epochs it was trained for; 0 without one, and the model is as it
            was before.

        Raises:
            ValueError: The file is whole and cannot be loaded, as into another model.
        """
        epochs, damaged = 0, []
        for path in (self.path, self._previous):
            if not path.exists():
                continue
            if self._load(path, model):
                steps = keras.ops.convert_to_numpy(model.optimizer.iterations)
                epochs = int(steps) // self._steps_per_epoch
                break
            os.replace(path, path.with_name(f"damaged_{path.name}"))
            damaged.append(path.name)
        if damaged:
            then = f"continues after epoch {epochs}" if epochs else "starts over"
            print(f"{self.path.parent.name}: {', '.join(damaged)} damaged, training {then}",
                  flush=True)  # fmt: skip
        return epochs

    def _load(self, path, model):
        """Return whether a checkpoint is whole; if so, the model has its state."""
        is_whole = sealed_weights.is_whole(path)
        if is_whole is False:
            return False
        variables = [] if is_whole else [*model.variables, *model.optimizer.variables]
        before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        try:
            model.load_weights(path)
        except Exception as error:
            # A damaged file fails in any way, and perhaps half loaded.
            if is_whole:
                raise ValueError(
                    f"The checkpoint {path.parent.name}/{path.name} cannot be loaded: {error}. "
                    "Delete it to train its row from the beginning."
                ) from error
            for variable, value in zip(variables, before):
                variable.assign(value)
            return False
        return True

    def on_epoch_end(self, epoch, logs=None):
        last = epoch + 1 == self._epochs
        if last or time.monotonic() - self._saved_at >= self._seconds:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_name("new.weights.h5")
            self.model.save_weights(new)
            sealed_weights.seal(new)
            # Killed between the two, training goes on from what is the last one before them.
            if self.path.exists():
                os.replace(self.path, self._previous)
            os.replace(new, self.path)
            self._saved_at = time.monotonic()


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
