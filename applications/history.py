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
        initial_epoch: Lines from this epoch on, which are to be trained anew, go.
    """

    def __init__(self, path, initial_epoch=0):
        super().__init__()
        self._path = pathlib.Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A line that a killed process left half is one of those, too.
        lines = self._path.read_text().splitlines(keepends=True) if self._path.exists() else []
        kept = [line for line in lines[1:] if int(line.split(",")[0]) < initial_epoch]
        # Replaced as a whole: killed here, the epochs of the checkpoint are not trained again.
        new = self._path.with_suffix(".tmp")
        new.write_text("".join([*lines[:1], *kept]) if kept else "")
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
        is_new = not self._path.stat().st_size
        with open(self._path, "a", newline="") as file:
            writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
