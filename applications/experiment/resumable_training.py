"""Train one row of a table, from its checkpoint if there is one, and keep a history."""

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
from applications.training.epoch_seeds import fit


class History(keras.callbacks.Callback):
    """Append a line to a CSV file after each epoch.

    Unlike `keras.callbacks.CSVLogger`, it keeps no file open, and it handles the lines that a
    killed run left.

    Args:
        path: String or path. The file, which may be missing.
        initial_epoch: Integer. Epoch from which training continues. Lines from this epoch on
            are removed, because these epochs are trained again.

    Raises:
        TableError: If a line is damaged or missing. A last line that a killed process wrote
            only in part is removed without an error.
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
        # Replaced as a whole: a process killed here must not lose the lines of the epochs that
        # its checkpoint has, which are not trained again.
        new = self._path.with_suffix(".tmp")
        new.write_text("".join(lines), encoding="utf-8")
        os.replace(new, self._path)

    def read(self):
        """Return the lines as dicts of strings."""
        return csv_tables.read_rows(self._path)

    def on_epoch_end(self, epoch, logs=None):
        # Not every epoch is evaluated, but all lines have the same columns.
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
    """Raise a TableError unless a line has the number of its epoch, and only numbers."""
    try:
        whole = row.get("epoch") == str(epoch)
        [float(value) for value in row.values() if value]
    except ValueError:
        whole = False
    if not whole:
        raise csv_tables.TableError(
            f"{path}, line {epoch + 2} is damaged. Expected: epoch {epoch} and its logs. "
            f"Received: {','.join(row.values()) or 'no such line'}"
        )


class Checkpoint(keras.callbacks.Callback):
    """Save weights and optimizer after epochs, and restore them.

    The optimizer's count of steps tells how many epochs were trained, so that no second file
    has to agree with it. The last two checkpoints are kept, each with its checksum. If the
    last one is damaged, training continues from the one before.

    Args:
        folder: String or path. Folder of the checkpoints.
        steps_per_epoch: Integer. Optimizer steps in an epoch.
        epochs: Integer. Total number of epochs. The last epoch is always saved.
        seconds: Float. Minimum time between two saves.
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
        """Load the last checkpoint that is not damaged, if there is one.

        A damaged checkpoint is renamed, so that it is not used again, and a printed line says
        so. An older checkpoint without a checksum counts as undamaged if it can be loaded.

        Returns:
            Integer. The number of epochs that the checkpoint was trained for. Without a
            checkpoint this is 0 and the model is left unchanged.

        Raises:
            ValueError: If the file is not damaged but cannot be loaded, for example because
                it is that of another model.
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
        """Load a checkpoint into the model and return True, or False if it is damaged."""
        is_whole = sealed_weights.is_whole(path)
        if is_whole is False:
            return False
        variables = [] if is_whole else [*model.variables, *model.optimizer.variables]
        before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        try:
            model.load_weights(path)
        except Exception as error:
            # A damaged file can raise any error, and may already have changed some variables.
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
            # If the process is killed between these two, the previous checkpoint is there.
            if self.path.exists():
                os.replace(self.path, self._previous)
            os.replace(new, self.path)
            self._saved_at = time.monotonic()


class RowFiles:
    """The paths of a row's files in the output folder.

    Args:
        output: String or path. The output folder.
        setting: Dataclass with a method `label(data_sha256)`. It identifies the row.
        data_sha256: String. Checksum of the row's data.

    Attributes:
        setting: The argument `setting`.
        data_sha256: The argument `data_sha256`.
        checkpoints: Path of the folder of checkpoints, which is not needed once the row is in
            the table.
        history: Path of the CSV file with a line for each epoch.
        model: Path of the trained weights.
    """

    def __init__(self, output, setting, data_sha256):
        self.setting = setting
        self.data_sha256 = data_sha256
        self._output = pathlib.Path(output)
        self._label = setting.label(data_sha256)
        self.checkpoints = self._output / "checkpoints" / self._label
        self.history = self.path("history", ".csv")
        self.model = self.path("models", ".weights.h5")

    def path(self, kind, suffix):
        """Return the path of the row's file of another kind."""
        return self._output / kind / f"{self._label}{suffix}"

    def description(self):
        """Return a dict of how the row's checkpoint was made, empty without a checkpoint.

        Raises:
            TableError: If the file is damaged.
        """
        path = self.checkpoints / "setting.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except ValueError as error:
            raise TableError(
                f"{path} is damaged: {error}. Delete its folder to train the row from the start."
            ) from None

    def describe(self, description):
        """Write the dict that `description` returns. The file is replaced as a whole."""
        path = self.checkpoints / "setting.json"
        new = path.with_name("new.setting.json")
        new.write_text(json.dumps(description, indent=2), encoding="utf-8")
        os.replace(new, path)

    @property
    def commit(self):
        """The commit at which the row was trained, or several, separated by commas."""
        return ", ".join(self.description()["commits"])


def made_by_this_backend(files):
    """Return a dict of how a row's checkpoint was made, empty without a checkpoint.

    Args:
        files: `RowFiles` of the row.

    Raises:
        TableError: If another backend made the checkpoint.
    """
    description = files.description()
    # Older checkpoints do not state a backend, and count as made by the current one.
    name = description.get("backend", backend()).partition(" ")[0]
    if name != keras.backend.backend():
        raise TableError(
            f"The checkpoint in {files.checkpoints} was made by {description['backend']}. "
            f"{other_backend(name)[:-1]}, or delete that folder."
        )
    return description


class Seconds(keras.callbacks.Callback):
    """Log how long each epoch took, including its evaluation."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.monotonic() - self._start


def train_row(model, batches, files, seconds, report, callbacks=(), **options):
    """Train the model of a row up to the setting's last epoch.

    Args:
        model: Compiled `keras.Model` in its initial state.
        batches: Training batches, as `applications.training.epoch_seeds.fit` takes them.
        files: `RowFiles` of the row. Its setting has the attributes `epochs` and `seed`.
        seconds: Float. Minimum time between two checkpoints.
        report: Function of the number of finished epochs and the logs of the last one. It is
            called once at the start and after every epoch.
        callbacks: Sequence of callbacks, whose logs the history has too.
        **options: Further keyword arguments of `keras.Model.fit`, such as `validation_data`.

    Returns:
        List of dicts of strings. The history, with one dict for each epoch.

    Raises:
        TableError: If another backend made the checkpoint, or if the history is damaged.
    """
    setting = files.setting
    before = made_by_this_backend(files)
    files.checkpoints.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(files.checkpoints, len(batches), setting.epochs, seconds)
    initial_epoch = checkpoint.restore(model)
    commits = before.get("commits", ["unknown"]) if initial_epoch else []
    files.describe(
        {
            **dataclasses.asdict(setting),
            "data_sha256": files.data_sha256,
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
        callbacks = [Seconds(), *callbacks, history, checkpoint, reporting]
        epochs = {"epochs": setting.epochs, "initial_epoch": initial_epoch}
        fit(model, batches, setting.seed, callbacks, **epochs, **options)
    return history.read()
