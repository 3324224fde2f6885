"""The loop over the rows of a table: find, train, write, report."""

import pathlib
import shutil
import sys

from applications import datasets
from applications import robustness
from applications import side_by_side
from applications import table1_report
from applications.fgsm import EPSILONS
from applications.presets import table_name
from applications.progress import Progress
from applications.results import append_row
from applications.results import find_row
from applications.results import read_rows


def run_rows(module, settings, options, name="table1", title="Table 1"):
    """Run the rows that are not in the table yet, and write table and Markdown.

    Args:
        module: Name of the module that `python -m` runs.
        settings: Of the rows, all on one data set.
        options: Of the command line; see `command_line.make_parser`.
        name: What the names of table and Markdown begin with.
        title: Of the Markdown.

    Returns:
        The rows of the table that belong to the settings, dicts of strings.

    Raises:
        SystemExit: The data is not at hand; or rows failed, the others being written.
    """
    output = pathlib.Path(options.output)
    dataset = settings[0].dataset
    table = output / f"{name}_{table_name(dataset)}.csv"
    source = dataset, options.data_dir, options.tfds_manual_dir
    try:
        data = datasets.load(*source)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(
        f"{data.name} from {data.source}: {len(data.x_train)} training and "
        f"{len(data.x_test)} test images, sha256 {data.sha256[:12]}"
    )
    sha256 = data.sha256
    del data  # each worker has its own
    missing = [setting for setting in settings if _find(table, setting, sha256) is None]
    print(f"{len(settings) - len(missing)} of {len(settings)} rows are in {table}")
    loop = _Loop(table, missing, sha256, options.quiet)
    side_by_side.run_jobs(
        _by_shape(missing),
        robustness.make_runner,
        (*source, output, module, options.checkpoint_seconds),
        options.jobs,
        loop.on_report,
        loop.on_done,
        loop.on_failed,
    )
    rows = [_find(table, setting, sha256) for setting in settings]
    rows = [row for row in rows if row is not None]
    if rows:
        text = table1_report.markdown(read_rows(table), title, table.name)
        table.with_suffix(".md").write_text(text)
        print(f"\n{text}\nwritten to {table} and {table.with_suffix('.md').name}")
    if loop.failed:
        names = ", ".join(_name(setting) for setting in loop.failed)
        sys.exit(f"{len(loop.failed)} rows failed, see above: {names}")
    return rows


class _Loop:
    """What is done about the events of the rows."""

    def __init__(self, table, settings, data_sha256, quiet):
        self.failed = []
        self._table = table
        self._data_sha256 = data_sha256
        self._quiet = quiet
        self._number = len(settings)
        self._finished = 0
        self._epochs = {}
        self._progress = Progress(sum(setting.epochs for setting in settings))

    def on_report(self, setting, epoch, logs):
        """Count an epoch; the first report of a row says at which one it starts."""
        text = f"{_name(setting)}: epoch {epoch}/{setting.epochs}"
        if setting not in self._epochs:
            self._progress.skip(epoch)
            if not self._quiet:
                self._progress.say(f"{text}, begins")
        else:
            text += f", loss {logs['loss']:.4g}, accuracy {logs['accuracy']:.4f}"
            self._progress.step(text, quiet=self._quiet)
        self._epochs[setting] = epoch

    def on_done(self, setting, row):
        append_row(self._table, row)
        folder = robustness.checkpoint_folder(self._table.parent, setting, self._data_sha256)
        shutil.rmtree(folder, ignore_errors=True)
        errors = ", ".join(row[f"eps_{eps}"] for eps in EPSILONS)
        self._finish(f"{_name(setting)}: error {errors} %")

    def on_failed(self, setting, reason):
        self.failed.append(setting)
        self._progress.skip(setting.epochs - self._epochs.get(setting, 0))
        print(f"{_name(setting)} failed: {reason}", file=sys.stderr)
        self._finish(f"{_name(setting)}: failed")

    def _finish(self, text):
        self._finished += 1
        self._progress.say(f"[{self._finished}/{self._number}] {text}")


def _find(table, setting, data_sha256):
    return find_row(read_rows(table), **setting.columns(), data_sha256=data_sha256)


def _by_shape(settings):
    """Return settings, those of one shape side by side, so that one compilation serves them."""
    shapes = list(dict.fromkeys(setting.shape() for setting in settings))
    return sorted(settings, key=lambda setting: shapes.index(setting.shape()))


def _name(setting):
    return f"{setting.dataset} {setting.short_name}, seed {setting.seed}"
