"""Checkpoint: the state of training in one file, whole whenever the process is killed."""

import os
import pathlib
import time

import keras


class Checkpoint(keras.callbacks.Callback):
    """Save weights and optimizer after epochs, and restore them.

    How many epochs were trained is not written beside them: the optimizer's count of
    steps tells.

    Args:
        folder: Where the file lies.
        steps_per_epoch: Steps of the optimizer in an epoch.
        epochs: Epochs in all; after the last one it is always saved.
        seconds: Time between two saves at the least.
    """

    def __init__(self, folder, steps_per_epoch, epochs, seconds=20.0):
        super().__init__()
        self.path = pathlib.Path(folder) / "latest.weights.h5"
        self._steps_per_epoch = steps_per_epoch
        self._epochs = epochs
        self._seconds = seconds
        self._saved_at = time.monotonic()

    def restore(self, model):
        """Load the checkpoint, if there is one.

        Returns:
            The number of epochs it was trained for; 0 without one.

        Raises:
            ValueError: The file cannot be read.
        """
        if not self.path.exists():
            return 0
        try:
            model.load_weights(self.path)
        except OSError as error:
            raise ValueError(
                f"The checkpoint {self.path.parent.name}/{self.path.name} cannot be read: {error}. "
                "Delete it to train its row from the beginning."
            ) from error
        return int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // self._steps_per_epoch

    def on_epoch_end(self, epoch, logs=None):
        last = epoch + 1 == self._epochs
        if last or time.monotonic() - self._saved_at >= self._seconds:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_name("new.weights.h5")
            self.model.save_weights(new)
            with open(new, "rb") as file:
                os.fsync(file.fileno())
            os.replace(new, self.path)
            self._saved_at = time.monotonic()
