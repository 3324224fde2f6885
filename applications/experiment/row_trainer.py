"""RowTrainer: what the runners of the tables' rows share."""

import pathlib

from applications.experiment.provenance import describe_run
from applications.experiment.resumable_training import RowFiles
from applications.experiment.resumable_training import train_row


class RowTrainer:
    """Base class of what trains and evaluates the rows of a table one after another.

    In the output folder, a row in training has `checkpoints/<label>` and
    `history/<label>.csv`, with a line for each epoch. A trained row has
    `models/<label>.weights.h5`. A row that was killed continues from its last checkpoint, and
    ends with the same numbers as an undisturbed one.

    A runner is called with the setting of a row and the `report` of `train_row`. It returns the
    row of the table, a dict of strings: measures, setting, then what made the row.

    Args:
        data: Data to train and test on, with the attributes `source` and `sha256`.
        output: String or path. The output folder.
        module: String. Name of the module that `python -m` runs, for the provenance.
        checkpoint_seconds: Float. Minimum time between two checkpoints.
    """

    def __init__(self, data, output, module, checkpoint_seconds=20.0):
        self.data = data
        self.output = pathlib.Path(output)
        self._module = module
        self._checkpoint_seconds = checkpoint_seconds

    def files(self, setting):
        """Return the `RowFiles` of a row."""
        return RowFiles(self.output, setting, self.data.sha256)

    def _fit(self, model, batches, setting, report, callbacks, **options):
        """Train the model of a row, and return its history. See `train_row`."""
        seconds = self._checkpoint_seconds
        return train_row(model, batches, self.files(setting), seconds, report, callbacks, **options)

    def _origin(self, setting, history, evaluate_seconds):
        """Return the columns that state what made a row, a dict of strings."""
        return {
            "data": self.data.source,
            "data_sha256": self.data.sha256,
            "train_seconds": f"{sum(float(epoch['seconds']) for epoch in history):.0f}",
            "evaluate_seconds": f"{evaluate_seconds:.1f}",
            **describe_run(self._module),
            "commit": self.files(setting).commit,  # at which it was trained
        }
