"""Checkpoint: the state of training in a file, whole whenever the process is killed."""

import os
import pathlib
import time

import keras
import numpy as np

from applications import sealed_weights


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
