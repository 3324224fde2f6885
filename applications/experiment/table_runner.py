"""The loop that finds, trains, writes and reports the rows of a table."""

import dataclasses
import functools
import operator
import shutil
import sys
import time
from collections.abc import Callable

from applications.experiment import claims
from applications.experiment import provenance
from applications.experiment import worker_pool
from applications.experiment.csv_tables import TableError
from applications.experiment.result_table import ResultTable
from applications.experiment.resumable_training import RowFiles
from applications.experiment.resumable_training import made_by_this_backend

_print = functools.partial(print, flush=True)


class Progress:
    """Count finished steps, and print lines that state the time left.

    The estimate assumes that steps continue at their mean speed since the start, with as many
    in parallel as before.

    Args:
        steps: Integer. Total number of steps.
        seconds: Float. Minimum time between two lines of `step`.
        clock: Function that returns the time in seconds.
        write: Function of a line of text, which prints it.
    """

    def __init__(self, steps, seconds=10.0, clock=time.monotonic, write=_print):
        self._left = steps
        self._done = 0
        self._seconds = seconds
        self._clock = clock
        self._write = write
        self._start = clock()
        self._written = clock()

    def skip(self, steps):
        """Remove steps that need not be done from the count."""
        self._left -= steps

    def step(self, text, quiet=False):
        """Count one step, and print the text from time to time, unless quiet."""
        self._left -= 1
        self._done += 1
        if not quiet and self._clock() - self._written >= self._seconds:
            self.say(text)

    def say(self, text):
        """Print a text and the time left."""
        self._written = self._clock()
        self._write(f"{text}{self._estimate()}")

    def _estimate(self):
        if self._left <= 0 or not self._done:
            return ""
        seconds = (self._clock() - self._start) / self._done * self._left
        return f", {duration(seconds)} left"


def duration(seconds):
    """Return a time in words, rounded to about two digits."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


@dataclasses.dataclass
class Table:
    """A table whose rows are trained, with the functions that are particular to it."""

    file: ResultTable  # of the rows
    data_sha256: str  # checksum of the data
    # Function at the top level of a module. A worker calls `run = make_runner(*arguments)`, and
    # then `run(setting, report)` for each row. `run` calls `report(epochs, logs)` and returns the
    # row.
    make_runner: Callable
    arguments: tuple  # arguments of `make_runner`, which must be picklable
    name: Callable  # function of a setting; it returns the name that the progress shows
    logged: tuple  # names of the logs of an epoch that the progress shows
    summary: Callable  # function of a finished row; it returns a text about it
    markdown: Callable | None = None  # function of all rows of the table; it returns Markdown
    unit: str = "epoch"  # name of what the progress counts
    units: Callable = operator.attrgetter("epochs")  # how many units a setting takes


def run_rows(table, settings, jobs=1, quiet=False):
    """Run the rows that the table lacks, and write the table and its Markdown.

    A row that another command is training is left to that command.

    Args:
        table: `Table` to fill.
        settings: List of dataclasses with the methods `label(data_sha256)` and `columns()`,
            and with `epochs` if these are counted. Each identifies a row.
        jobs: Integer. Number of rows to train in parallel.
        quiet: Boolean. Whether to print only one line per row.

    Returns:
        List of dicts of strings. The rows of the table that belong to the settings.

    Raises:
        TableError: Before any training, if the table is damaged, has other columns, or has
            rows or checkpoints of these settings that another backend made.
        SystemExit: If rows failed. The other rows are written first.
    """
    found = _look_up(table, settings)
    missing = [setting for setting in settings if setting not in found]
    print(f"{len(found)} of {len(settings)} rows are in {table.file.path}")
    _tell_other_commits(table, found)
    for setting in found:  # a run may have been killed before it deleted them
        _drop_checkpoints(RowFiles(table.file.path.parent, setting, table.data_sha256))
    loop = _Loop(table, missing, quiet)
    worker_pool.run_jobs(
        missing,
        make_claiming,
        (table.file, table.data_sha256, table.make_runner, table.arguments),
        jobs,
        loop.on_report,
        loop.on_done,
        loop.on_failed,
    )
    every = table.file.rows()
    rows = [table.file.find(_wanted(setting, table.data_sha256), every) for setting in settings]
    rows = [row for row in rows if row is not None]
    if rows and table.markdown is not None:
        text = table.markdown(every)
        markdown = table.file.path.with_suffix(".md")
        markdown.write_text(text, encoding="utf-8")
        print(f"\n{text}\nwritten to {table.file.path} and {markdown.name}")
    if loop.left:
        names = ", ".join(table.name(setting) for setting in loop.left)
        print(f"{len(loop.left)} rows are left to another command that is training them: {names}")
    if loop.failed:
        names = ", ".join(table.name(setting) for setting in loop.failed)
        sys.exit(f"{len(loop.failed)} rows failed, see above: {names}")
    return rows


def make_claiming(file, data_sha256, make_runner, arguments):
    """Return a function that makes a row, unless another process is making it.

    A worker calls this once at its start. A claim lasts from before the training until the row
    is in the table. The table is read after the claim is made, because another command may
    have finished the row in the meantime.
    """
    runner = None

    def run(setting, report):
        nonlocal runner
        files = RowFiles(file.path.parent, setting, data_sha256)
        with claims.claim(files.checkpoints) as is_mine:
            if not is_mine:
                return None
            row = file.find(_wanted(setting, data_sha256))
            if row is None:
                runner = runner or make_runner(*arguments)
                row = runner(setting, report)
                file.append(row)
            _drop_checkpoints(files)
        return row

    return run


class _Loop:
    """Handlers of the events of the rows."""

    def __init__(self, table, settings, quiet):
        self.failed = []
        self.left = []
        self._table = table
        self._quiet = quiet
        self._number = len(settings)
        self._finished = 0
        self._epochs = {}
        self._progress = Progress(sum(map(table.units, settings)))

    def on_report(self, setting, epoch, logs):
        """Count an epoch. The first report of a row states the epoch at which it starts."""
        units = f"{self._table.unit} {epoch}/{self._table.units(setting)}"
        text = f"{self._table.name(setting)}: {units}"
        if setting not in self._epochs:
            self._progress.skip(epoch)
            if not self._quiet:
                self._progress.say(f"{text}, starting")
        else:
            shown = [f", {name} {logs[name]:.4g}" for name in self._table.logged if name in logs]
            self._progress.step(text + "".join(shown), quiet=self._quiet)
        self._epochs[setting] = epoch

    def on_done(self, setting, row):
        name = self._table.name(setting)
        if row is None:
            self.left.append(setting)
            self._finish(setting, f"{name}: left to another command, which is training it")
        else:
            self._finish(setting, f"{name}: {self._table.summary(row)}")

    def on_failed(self, setting, reason):
        self.failed.append(setting)
        name = self._table.name(setting)
        print(f"{name} failed: {reason}", file=sys.stderr)
        self._finish(setting, f"{name}: failed")

    def _finish(self, setting, text):
        self._progress.skip(self._table.units(setting) - self._epochs.get(setting, 0))
        self._finished += 1
        self._progress.say(f"[{self._finished}/{self._number}] {text}")


def _look_up(table, settings):
    """Return a dict of the settings whose row is in the table, and refuse mixed backends."""
    if len({tuple(setting.columns().items()) for setting in settings}) < len(settings):
        raise TableError("Two of the requested rows have the same columns.")
    rows = table.file.rows()
    found = {}
    for setting in settings:
        row = table.file.find(_wanted(setting, table.data_sha256), rows)
        if row is None:
            made_by_this_backend(RowFiles(table.file.path.parent, setting, table.data_sha256))
        else:
            found[setting] = row
    return found


def _wanted(setting, data_sha256):
    return {**setting.columns(), "data_sha256": data_sha256}


def _tell_other_commits(table, found):
    commit = provenance.commit()
    names = {}
    for setting, row in found.items():
        if row["commit"] != commit:
            names.setdefault(row["commit"], []).append(table.name(setting))
    if names:
        number = sum(map(len, names.values()))
        texts = [f"{', '.join(of)} (commit {other})" for other, of in names.items()]
        print(f"{number} of them were made at another commit than {commit}: {'; '.join(texts)}")


def _drop_checkpoints(files):
    shutil.rmtree(files.checkpoints, ignore_errors=True)
