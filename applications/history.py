"""History: what each epoch logged, in a CSV file that can be cut and continued."""

import csv
import os
import pathlib

import keras

from applications import results


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
        rows = results.parse_rows(text, self._path)
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
        return results.read_rows(self._path)

    def on_epoch_end(self, epoch, logs=None):
        # Not every epoch is evaluated; all have the columns.
        evaluated = {name for name in logs if name.startswith("val_")}
        trained = sorted(logs.keys() - evaluated)
        names = ["epoch", *trained, *(f"val_{name}" for name in trained if name != "seconds")]
        row = {"epoch": epoch, **logs}
        is_new = self._names is None
        self._names = self._names or names
        if names != self._names:
            raise results.TableError(
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
        raise results.TableError(
            f"{path}, line {epoch + 2} is damaged. Expected: epoch {epoch} and what it logged. "
            f"Received: {','.join(row.values()) or 'no such line'}"
        )
