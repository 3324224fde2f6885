"""The rows of Table 1: train each classifier, then attack it."""

import pathlib
import sys
import time

import numpy as np

from applications.attacks.fgsm import EPSILONS
from applications.datasets import images
from applications.experiment import provenance
from applications.experiment import sealed_weights
from applications.experiment import table_runner
from applications.experiment.command_line import image_source
from applications.experiment.csv_tables import as_text
from applications.experiment.result_table import ResultTable
from applications.experiment.row_trainer import RowTrainer
from applications.table1 import report
from applications.table1.compiled_classifier import CompiledClassifier
from applications.table1.config import ADDED_COLUMNS
from applications.table1.config import Setting
from applications.table1.presets import preset_of
from applications.table1.presets import table_name
from applications.training.epoch_seeds import ShuffledBatches


def run_rows(module, settings, options, name="table1", title="Table 1"):
    """Run the rows that are not in the table yet, and write table and Markdown.

    Args:
        module: String. Name of the module that `python -m` runs.
        settings: List of `Setting`. The settings of the rows, all on one data set.
        options: Namespace of the command line's options, from `command_line.Parser`.
        name: String. Prefix of the file names of table and Markdown.
        title: String. Title of the Markdown.

    Returns:
        List of dicts of strings. The rows of the table that belong to the settings.

    Raises:
        TableError: If the table is damaged, or has rows of another backend.
        SystemExit: If the data is not available, or if rows failed. The other rows are written
            first.
    """
    output = pathlib.Path(options.output)
    dataset = settings[0].dataset
    path = output / f"{name}_{table_name(dataset)}.csv"
    source = image_source(options)
    try:
        data = images.load(*source)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(
        f"{data.name} from {data.source}: {len(data.x_train)} training and "
        f"{len(data.x_test)} test images, sha256 {data.sha256[:12]}"
    )
    table = table_runner.Table(
        file=result_table(path),
        data_sha256=data.sha256,
        make_runner=make_runner,  # each worker loads the data itself
        arguments=(source, output, module, options.checkpoint_seconds),
        name=lambda setting: f"{setting.dataset} {setting.short_name}, seed {setting.seed}",
        logged=("loss", "accuracy"),
        summary=lambda row: "error " + ", ".join(row[f"eps_{eps}"] for eps in EPSILONS) + " %",
        markdown=lambda rows: report.markdown(rows, title, path.name),
    )
    del data
    return table_runner.run_rows(table, _by_shape(settings), options.jobs, options.quiet)


def _by_shape(settings):
    """Return the settings sorted by shape, so that those of one shape share a compilation."""
    shapes = list(dict.fromkeys(setting.shape() for setting in settings))
    return sorted(settings, key=lambda setting: shapes.index(setting.shape()))


_SETTING = tuple(Setting().columns())
COLUMNS = (
    *("normalization", "r"),
    *(f"eps_{eps}" for eps in EPSILONS),
    *(f"unclipped_eps_{eps}" for eps in EPSILONS[1:]),  # at eps = 0 both are equal
    *("rate_nats", "test_rate_nats", "target_nats", "train_error", "preset"),
    *(name for name in _SETTING if name not in ("normalization", "r")),
    *("data", "data_sha256", "train_seconds", "evaluate_seconds"),
    *provenance.COLUMNS,
)
_LOOKS = 20  # evaluations on the test images during the training of a row


class RowRunner(RowTrainer):
    """Train and attack rows one after another. Rows of one shape share a compilation.

    The data is `ImageData`. The weights of a trained row are those of the model that
    `build_classifier` returns. For the arguments see `RowTrainer`.
    """

    _compiled = None  # the `CompiledClassifier` of the last row's shape

    def __call__(self, setting, report=lambda epoch, logs: None):
        """Run the row of a `Setting`, as `RowTrainer` describes. Errors are in percent."""
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
            **{
                f"unclipped_eps_{eps}": f"{100 * error:.2f}"
                for eps, error in zip(EPSILONS[1:], unclipped[1:])
            },
            "rate_nats": as_text(last.get("bottleneck_rate")),
            "test_rate_nats": as_text(test_rate),
            "target_nats": as_text(target),
            "train_error": f"{100 * (1 - float(last['accuracy'])):.2f}",
            "preset": preset_of(setting, self.data.first),
            **row,
            **self._origin(setting, history, seconds),
        }

    def compiled(self, setting):
        """Return the `CompiledClassifier` of a setting's shape."""
        if self._compiled is None or self._compiled.shape != setting.shape():
            self._compiled = None  # frees its memory first
            self._compiled = CompiledClassifier(setting, self.data)
        return self._compiled

    def train(self, setting, report=lambda epoch, logs: None):
        """Train the classifier of a row, from its checkpoint if there is one.

        Returns:
            List of dicts of strings. The history, with one dict for each epoch.
        """
        compiled = self.compiled(setting)
        compiled.start(setting)
        return self._fit(
            compiled.model,
            self.batches(setting),
            setting,
            report,
            [compiled.rate_monitor],
            # Only logged, never used to choose a model. It uses one draw, and the rate of the
            # moving mean square.
            validation_data=self._test_images(),
            validation_batch_size=500,
            validation_freq=max(1, setting.epochs // _LOOKS),
        )

    def batches(self, setting):
        """Return the training batches, pairs of the numbers of images and their labels."""
        y = self.data.y_train
        numbers = np.arange(len(y), dtype="int32")
        return ShuffledBatches(numbers, y, setting.batch_size, setting.seed)

    def _save_classifier(self, setting):
        sealed_weights.save(self.compiled(setting).classifier, self.files(setting).model)

    def _test_images(self):
        first = len(self.data.x_train)
        numbers = np.arange(first, first + len(self.data.x_test), dtype="int32")
        return numbers, self.data.y_test

    def _test_rate(self, setting):
        """Return the mean rate in nats per test image, or None if the bottleneck does not draw."""
        if not setting.is_stochastic:
            return None
        compiled = self.compiled(setting)
        compiled.model.evaluate(
            *self._test_images(), batch_size=500, verbose=0, callbacks=[compiled.rate_monitor]
        )
        return compiled.classifier.get_layer("bottleneck").rate_tracker.result(training=False)


def result_table(path):
    """Return the `ResultTable` of a file with rows from `RowRunner`."""
    naming = ("normalization", "r", "beta", "epochs", "seed")
    return ResultTable(path, COLUMNS, (*_SETTING, "data_sha256"), naming, ADDED_COLUMNS)


def make_runner(source, *options):
    """Load the data and return a `RowRunner`. Each worker process calls this once."""
    return RowRunner(images.load(*source), *options)
