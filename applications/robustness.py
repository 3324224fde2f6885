"""One row of Table 1: train a classifier, then attack it."""

import dataclasses
import json
import pathlib
import time

import keras
import numpy as np

from applications import datasets
from applications import results
from applications.checkpoint import Checkpoint
from applications.compiled_classifier import CompiledClassifier
from applications.epoch_seeds import EpochSeeds
from applications.epoch_seeds import ShuffledBatches
from applications.fgsm import EPSILONS
from applications.history import History
from applications.presets import preset_of
from applications.provenance import describe_run

_LOOKS = 20  # evaluations on the test images in the course of a row's training


class RowRunner:
    """Train and attack rows, one after the other; rows of one shape compile once.

    In the output folder, a row in training has `checkpoints/<label>` and
    `history/<label>.csv`, a line for each epoch, and a trained one
    `models/<label>.weights.h5`, for `build_classifier`. A killed row goes on from its
    last checkpoint, and ends with the numbers it would have had.

    Args:
        data: An `ImageData`.
        output: Folder.
        module: Name of the module that `python -m` runs, for the provenance.
        checkpoint_seconds: Time between two checkpoints at the least.
    """

    def __init__(self, data, output, module, checkpoint_seconds=20.0):
        self.data = data
        self.output = pathlib.Path(output)
        self._module = module
        self._checkpoint_seconds = checkpoint_seconds
        self._compiled = None

    def __call__(self, setting, report=lambda epoch, logs: None):
        """Run a row.

        Args:
            setting: A `Setting`.
            report: Called with the number of epochs done, and what the last one
                logged: once at the start and after every epoch.

        Returns:
            A dict of strings: the row of the table, errors in percent, then what
            made it.
        """
        with results.locked(self._checkpoints(setting), wait=False):
            compiled = self.compiled(setting)
            history = self.train(setting, report)
            start = time.monotonic()
            test_rate = self._test_rate(setting)
            clipped, unclipped = compiled.attack(setting)
            seconds = time.monotonic() - start
            self._save_classifier(setting)
        last = history[-1]
        row = setting.columns()
        target = setting.target_rate(self.data.num_classes) if row["r"] else None
        return {
            "normalization": row.pop("normalization"),
            "r": row.pop("r"),
            **{f"eps_{eps}": f"{100 * error:.2f}" for eps, error in zip(EPSILONS, clipped)},
            # At eps = 0 the two are one.
            **{
                f"unclipped_eps_{eps}": f"{100 * error:.2f}"
                for eps, error in zip(EPSILONS[1:], unclipped[1:])
            },
            "rate_nats": _number(last.get("bottleneck_rate")),
            "test_rate_nats": _number(test_rate),
            "target_nats": _number(target),
            "train_error": f"{100 * (1 - float(last['accuracy'])):.2f}",
            "preset": preset_of(setting),
            **row,
            "data": self.data.source,
            "data_sha256": self.data.sha256,
            "train_seconds": f"{sum(float(epoch['seconds']) for epoch in history):.0f}",
            "evaluate_seconds": f"{seconds:.1f}",
            **describe_run(self._module),
        }

    def compiled(self, setting):
        """Return the `CompiledClassifier` of a setting's shape."""
        if self._compiled is None or self._compiled.shape != setting.shape():
            self._compiled = None  # its memory first
            self._compiled = CompiledClassifier(setting, self.data)
        return self._compiled

    def train(self, setting, report=lambda epoch, logs: None):
        """Train the classifier of a row, from its checkpoint where there is one.

        Returns:
            The history: a dict of strings for each epoch.
        """
        compiled = self.compiled(setting)
        compiled.start(setting)
        folder = self._checkpoints(setting)
        folder.mkdir(parents=True, exist_ok=True)
        description = {**dataclasses.asdict(setting), "data_sha256": self.data.sha256}
        (folder / "setting.json").write_text(json.dumps(description, indent=2))
        checkpoint = Checkpoint(
            folder, compiled.steps_per_epoch, setting.epochs, self._checkpoint_seconds
        )
        initial_epoch = checkpoint.restore(compiled.model)
        history = History(self._path("history", setting, ".csv"), initial_epoch)
        report(initial_epoch, {})
        if initial_epoch < setting.epochs:
            self.fit(
                setting,
                initial_epoch,
                [
                    history,
                    checkpoint,
                    keras.callbacks.LambdaCallback(
                        on_epoch_end=lambda epoch, logs: report(epoch + 1, logs)
                    ),
                ],
                # Watched, never chosen by: one draw, and the rate with the moving mean square.
                validation_data=self._test_images(),
                validation_batch_size=500,
                validation_freq=max(1, setting.epochs // _LOOKS),
            )
        return history.read()

    def fit(self, setting, initial_epoch=0, callbacks=(), **options):
        """Train from an epoch on to the setting's last, from the present state.

        Args:
            setting: A `Setting`.
            initial_epoch: How many epochs were trained before.
            callbacks: Beside those that seed the epochs and log rate and time.
            **options: Of `keras.Model.fit`.
        """
        compiled = self.compiled(setting)
        y = self.data.y_train
        numbers = np.arange(len(y), dtype="int32")
        batches = ShuffledBatches(numbers, y, setting.batch_size, setting.seed)
        compiled.model.fit(
            batches,
            shuffle=False,  # it does so itself
            epochs=setting.epochs,
            initial_epoch=initial_epoch,
            verbose=0,
            callbacks=[
                EpochSeeds(batches, setting.seed),
                _Seconds(),
                compiled.rate_monitor,
                *callbacks,
            ],
            **options,
        )

    def _path(self, kind, setting, suffix):
        return self.output / kind / f"{setting.label(self.data.sha256)}{suffix}"

    def _checkpoints(self, setting):
        return checkpoint_folder(self.output, setting, self.data.sha256)

    def _save_classifier(self, setting):
        path = self._path("models", setting, ".weights.h5")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.compiled(setting).classifier.save_weights(path)

    def _test_images(self):
        first = len(self.data.x_train)
        numbers = np.arange(first, first + len(self.data.x_test), dtype="int32")
        return numbers, self.data.y_test

    def _test_rate(self, setting):
        """Return the mean rate of a test image in nats; None without a stochastic bottleneck."""
        if not setting.is_stochastic:
            return None
        compiled = self.compiled(setting)
        compiled.model.evaluate(
            *self._test_images(), batch_size=500, verbose=0, callbacks=[compiled.rate_monitor]
        )
        return compiled.classifier.get_layer("bottleneck").rate_tracker.result(training=False)


def make_runner(dataset, data_dir, tfds_manual_dir, *options):
    """Return a `RowRunner` with its data loaded: what a worker process calls first."""
    return RowRunner(datasets.load(dataset, data_dir, tfds_manual_dir), *options)


def checkpoint_folder(output, setting, data_sha256):
    """Return where a row's checkpoint lies, which nobody needs once the row is written."""
    return pathlib.Path(output) / "checkpoints" / setting.label(data_sha256)


class _Seconds(keras.callbacks.Callback):
    """Log how long each epoch took, its evaluation included."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.monotonic() - self._start


def _number(value):
    return "" if value is None else f"{float(value):.6g}"
