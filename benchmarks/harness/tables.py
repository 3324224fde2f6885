"""Tables that a benchmark fills case by case, and continues after it was killed."""

import pathlib
import re

from applications.experiment import claims
from applications.experiment import csv_tables
from benchmarks.harness.frameworks import BACKEND

# What a command prints after Ctrl-C. See `applications.experiment.table_command`.
GOES_ON = (
    "Run the same command again, at the same commit without changes, to continue where it stopped."
)


def table_path(output, name, run):
    """Return the path of a table, named after backend and device.

    Args:
        output: String or path. Folder of the table.
        name: String. Prefix of the file's name.
        run: Dict from `applications.experiment.provenance.describe_run`.
    """
    device = "cpu" if run["device"].startswith("CPU ") else run["device"].split(",")[0]
    kind = re.sub(r"\W+", "_", device.lower())
    return pathlib.Path(output) / f"{name}_{BACKEND}_{kind}.csv"


def measured_rows(path, case, run):
    """Return the rows of a case that was measured with the same code, or no rows.

    The same code means the same commit and the same versions, on the same device.

    Args:
        path: String or path. The table, a CSV file, which may be missing.
        case: Dict. The columns and values that all rows of the case share.
        run: Dict from `applications.experiment.provenance.describe_run`, and what else made the
            rows.

    Raises:
        TableError: If the table is damaged, lacks columns, or has rows of other data.
    """
    rows = csv_tables.read_rows(path)
    missing = [name for name in [*case, *run] if rows and name not in rows[0]]
    if missing:
        raise csv_tables.TableError(
            f"{path}, line 1 lacks columns of a new row. Received: {list(rows[0])}. "
            f"Missing: {missing}. Move the file away, or choose another --output."
        )
    checksums = {row["data_sha256"] for row in rows if "data_sha256" in run}
    if checksums - {run.get("data_sha256")}:
        raise csv_tables.TableError(
            f"{path} has rows of data with the sha256 {', '.join(sorted(checksums))}. Received: "
            f"{run['data_sha256']}. Move the file away, or choose another --output."
        )
    # The code of a commit "with changes" or "unknown" can no longer be identified.
    if re.fullmatch("[0-9a-f]+", run["commit"]) is None:
        return []
    wanted = {**case, **{name: run[name] for name in run if name not in ("command", "data")}}
    return [row for row in rows if csv_tables.find_row([row], **wanted)]


def replace_rows(path, case, rows):
    """Write the rows of one case into a table, and replace older rows of the case.

    The file is replaced as a whole, so that it is never half written.

    Args:
        path: String or path. The table, a CSV file.
        case: Dict. The columns and values that all rows of the case share.
        rows: List of dicts with the same columns.

    Raises:
        TableError: If the file has other columns than the rows.
    """
    with claims.writing(path):
        old = csv_tables.read_rows(path, columns=list(rows[0]))
        kept = [row for row in old if csv_tables.find_row([row], **case) is None]
        csv_tables.write_rows(path, [*kept, *rows])
