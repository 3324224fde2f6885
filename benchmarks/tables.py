"""Tables that a benchmark fills case by case, and goes on with when it was killed."""

import pathlib
import re

from applications import results
from benchmarks.frameworks import BACKEND


def table_path(output, name, run):
    """Return the path of a table, named by backend and kind of device.

    Args:
        output: Its folder.
        name: What the file's name begins with.
        run: Of `applications.provenance.describe_run`.
    """
    device = "cpu" if run["device"].startswith("CPU ") else run["device"].split(",")[0]
    kind = re.sub(r"\W+", "_", device.lower())
    return pathlib.Path(output) / f"{name}_{BACKEND}_{kind}.csv"


def measured_rows(path, case, run):
    """Return the rows of a case that was measured with the very same code, or none.

    Args:
        path: The table, a CSV file; it may be missing.
        case: The columns and values that all rows of the case have in common.
        run: Of `applications.provenance.describe_run`.
    """
    # What code "with changes" or "unknown" was, nobody can tell any more.
    if re.fullmatch("[0-9a-f]+", run["commit"]) is None:
        return []
    wanted = {**case, "commit": run["commit"]}
    return [row for row in results.read_rows(path) if results.find_row([row], **wanted)]


def replace_rows(path, case, rows):
    """Write the rows of one case into a table, in the place of older ones.

    The file is replaced as a whole: never half written.

    Args:
        path: The table, a CSV file.
        case: The columns and values that all rows of the case have in common.
        rows: Dicts with the same columns.

    Raises:
        ValueError: The file's columns are others than the rows'.
    """
    old = results.read_rows(path)
    if old and list(old[0]) != list(rows[0]):
        raise ValueError(f"{path.name} has other columns. Move it away, or choose another folder.")
    kept = [row for row in old if results.find_row([row], **case) is None]
    results.write_rows(path, [*kept, *rows])
