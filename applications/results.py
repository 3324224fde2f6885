"""Tables of results: a CSV that grows row by row, and Markdown."""

import contextlib
import csv
import os
import pathlib

try:
    import fcntl
except ImportError:  # Windows: two commands at once are not kept apart there
    fcntl = None


def read_rows(path, added=None):
    """Return the rows of a CSV file as dicts of strings; none if it is missing.

    Args:
        path: The file.
        added: Dict of the columns that an older file lacks, with what its rows have there.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{**(added or {}), **row} for row in csv.DictReader(file)]


def append_row(path, row, added=None):
    """Add a row to a CSV file, which is replaced as a whole: never half written.

    Processes that do so at once wait for one another.

    Args:
        path: The file; it may be missing.
        row: A dict.
        added: See `read_rows`.

    Raises:
        ValueError: The file's columns are others than the row's.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        rows = read_rows(path, added)
        if rows and set(rows[0]) != set(row):
            raise ValueError(
                f"{path.name} has the columns {list(rows[0])}, the new row {list(row)}. "
                "Move the file away, or choose another folder."
            )
        write_rows(path, [*rows, row], list(row))


def write_rows(path, rows, columns=None):
    """Write a CSV file, which is replaced as a whole: never half written.

    Args:
        path: The file; it may be missing.
        rows: Dicts with the same columns, at least one.
        columns: Their order, that of the first row by default.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


@contextlib.contextmanager
def locked(folder, wait=True):
    """A context that one process at a time can be in, until it leaves or is killed.

    Args:
        folder: A folder to hold, made if it is missing.
        wait: Whether to wait for another process.

    Raises:
        ValueError: Another process is in it, and `wait` is False.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    except BlockingIOError:
        raise ValueError(
            f"Another process is at work in {folder.name}. Wait for it, or end it."
        ) from None
    finally:
        os.close(descriptor)


def find_row(rows, **wanted):
    """Return the first row with these values (compared as strings), or None."""
    wanted = {key: str(value) for key, value in wanted.items()}
    for row in rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    return None


def markdown_table(header, rows):
    """Return a Markdown table of strings."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
