"""The loop over the rows of a table: find, train, write, report."""

import dataclasses
import operator
import shutil
import sys
from collections.abc import Callable

from applications import side_by_side
from applications.progress import Progress
from applications.results import append_row
from applications.results import find_row
from applications.results import read_rows
from applications.row_training import RowFiles


@dataclasses.dataclass
class Table:
    """A table whose rows are trained, and what is particular to it.

    Attributes:
        path: The CSV file.
        data_sha256: Checksum of the data.
        make_runner: A function of a module; a worker calls it with `arguments`, and what
            it returns with each setting and `report(epochs, logs)`, for a row.
        arguments: See there. They must pickle.
        name: Returns the name of a setting for the progress.
        logged: Of what an epoch logs, what the progress shows.
        summary: Returns a text on a finished row.
        markdown: Returns a text on all rows of the table, or None without one.
        unit: What the progress counts.
        units: Returns how many of them a setting takes.
        added: See `applications.results.read_rows`.
    """

    path: object
    data_sha256: str
    make_runner: Callable
    arguments: tuple
    name: Callable
    logged: tuple
    summary: Callable
    markdown: Callable | None = None
    unit: str = "epoch"
    units: Callable = operator.attrgetter("epochs")
    added: dict | None = None

    def rows(self):
        """Return the rows that are there, dicts of strings."""
        return read_rows(self.path, self.added)


def run_rows(table, settings, jobs=1, quiet=False):
    """Run the rows that the table lacks, and write it and its Markdown.

    Args:
        table: A `Table`.
        settings: What decides each row: dataclasses with `label(data_sha256)` and
            `columns()`, and `epochs` if these are counted.
        jobs: Rows to train side by side.
        quiet: Whether a line for each row is enough.

    Returns:
        The rows of the table that belong to the settings, dicts of strings.

    Raises:
        SystemExit: Rows failed, the others being written.
    """
    missing = [setting for setting in settings if _find(table, setting) is None]
    print(f"{len(settings) - len(missing)} of {len(settings)} rows are in {table.path}")
    for setting in settings:
        if setting not in missing:  # a run may have been killed before it did so
            _drop_checkpoints(table, setting)
    loop = _Loop(table, missing, quiet)
    side_by_side.run_jobs(
        missing,
        table.make_runner,
        table.arguments,
        jobs,
        loop.on_report,
        loop.on_done,
        loop.on_failed,
    )
    rows = [_find(table, setting) for setting in settings]
    rows = [row for row in rows if row is not None]
    if rows and table.markdown is not None:
        text = table.markdown(table.rows())
        markdown = table.path.with_suffix(".md")
        markdown.write_text(text)
        print(f"\n{text}\nwritten to {table.path} and {markdown.name}")
    if loop.failed:
        names = ", ".join(table.name(setting) for setting in loop.failed)
        sys.exit(f"{len(loop.failed)} rows failed, see above: {names}")
    return rows


class _Loop:
    """What is done about the events of the rows."""

    def __init__(self, table, settings, quiet):
        self.failed = []
        self._table = table
        self._quiet = quiet
        self._number = len(settings)
        self._finished = 0
        self._epochs = {}
        self._progress = Progress(sum(map(table.units, settings)))

    def on_report(self, setting, epoch, logs):
        """Count an epoch; the first report of a row says at which one it starts."""
        units = f"{self._table.unit} {epoch}/{self._table.units(setting)}"
        text = f"{self._table.name(setting)}: {units}"
        if setting not in self._epochs:
            self._progress.skip(epoch)
            if not self._quiet:
                self._progress.say(f"{text}, begins")
        else:
            shown = [f", {name} {logs[name]:.4g}" for name in self._table.logged if name in logs]
            self._progress.step(text + "".join(shown), quiet=self._quiet)
        self._epochs[setting] = epoch

    def on_done(self, setting, row):
        append_row(self._table.path, row, self._table.added)
        _drop_checkpoints(self._table, setting)
        self._finish(f"{self._table.name(setting)}: {self._table.summary(row)}")

    def on_failed(self, setting, reason):
        self.failed.append(setting)
        self._progress.skip(self._table.units(setting) - self._epochs.get(setting, 0))
        name = self._table.name(setting)
        print(f"{name} failed: {reason}", file=sys.stderr)
        self._finish(f"{name}: failed")

    def _finish(self, text):
        self._finished += 1
        self._progress.say(f"[{self._finished}/{self._number}] {text}")


def _find(table, setting):
    return find_row(table.rows(), **setting.columns(), data_sha256=table.data_sha256)


def _drop_checkpoints(table, setting):
    files = RowFiles(table.path.parent, setting, table.data_sha256)
    shutil.rmtree(files.checkpoints, ignore_errors=True)
