"""The classifiers of Table 1 whose maps are compared, and the images that they get right."""

import dataclasses

import numpy as np

from applications.experiment import claims
from applications.experiment import command_line
from applications.experiment import sealed_weights
from applications.experiment.resumable_training import RowFiles
from applications.table1.compiled_classifier import build_classifier
from applications.table1.presets import table1_rows
from applications.table1.row_runner import RowRunner

_CHANGES = ("epochs", "width")


def chosen_setting(options, row):
    """Return the setting of a row, by its short name, that the options of a command select."""
    (setting,) = (
        one for one in table1_rows(options.dataset, options.preset) if one.short_name == row
    )
    return dataclasses.replace(setting, **command_line.given(options, _CHANGES))


def trained_classifier(setting, data, output, module):
    """Return the classifier of a row, and train it first if its weights are missing.

    Args:
        setting: `Setting` of the row.
        data: `ImageData` that the row is trained on.
        output: String. Folder of the weights.
        module: String. Name of the module that `python -m` runs.
    """
    files = RowFiles(output, setting, data.sha256)
    path = files.model
    if not path.exists():
        print(f"{path.name} is not in {path.parent}: training")
        with claims.claim(files.checkpoints, wait=True):
            if not path.exists():  # another command may have trained it in the meantime
                RowRunner(data, output, module)(
                    setting,
                    lambda epoch, logs: print(f"epoch {epoch}/{setting.epochs}", flush=True),
                )
    model = build_classifier(setting, data, inference="mean")
    sealed_weights.check(path)
    model.load_weights(path)
    return model


def images_classified_right(model, data, number=None):
    """Return the first test images that a model classifies correctly, and their classes."""
    predictions = np.argmax(model.predict(data.x_test, batch_size=500, verbose=0), axis=-1)
    chosen = np.flatnonzero(predictions == data.y_test)[:number]
    return data.x_test[chosen], data.y_test[chosen]
