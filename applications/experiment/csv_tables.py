"""Tables of results: CSV files, which are refused if they are damaged, and Markdown."""

import collections
import csv
import io
import os
import pathlib

import numpy as np


class TableError(ValueError):
    """Raised if a table is damaged, or has rows that must not be mixed with others."""


def read_rows(path, added=None, columns=None):
    """Return the rows of a CSV file, or no rows if the file is missing.

    Rows are a list of dicts of strings, here and in all functions that take `rows` of a table.

    Args:
        path: String or path. The file.
        added: Dict or None. Columns that an older file lacks, with the values of its rows.
        columns: Sequence of strings or None. Names of all columns, in any order. With None,
            any columns are accepted.

    Raises:
        TableError: If a line is truncated or has another number of fields than the first
            line, or if the columns are not the expected ones.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not a text file: {error}") from None
    return parse_rows(text, path, added, columns)


def parse_rows(text, path, added=None, columns=None):
    """Return the rows of the text of a CSV file, as `read_rows` does."""
    if not text:
        return []
    if not text.endswith("\n"):
        number = text.count("\n") + 1
        raise TableError(f"{path}, line {number} is truncated: it has no end of line.")
    added = added or {}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, names = [], None
    try:
        for line in reader:
            if names is None:
                names = line
                _check_columns(path, names, added, columns)
            elif len(line) != len(names):
                raise TableError(
                    f"{path}, line {reader.line_num} is damaged. Expected: {len(names)} fields "
                    f"({names[0]}, ..., {names[-1]}). Received: {len(line)}, {_shortened(line)}"
                )
            else:
                rows.append({**added, **dict(zip(names, line))})
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num} is damaged: {error}.") from None
    return rows


def _check_columns(path, names, added, columns):
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f"{path}, line 1 names some columns twice. Received: {twice}")
    if columns is None:
        return
    missing = [name for name in columns if name not in names and name not in added]
    foreign = [name for name in names if name not in columns]
    if missing or foreign:
        raise TableError(
            f"{path}, line 1 has other columns than a new row. Expected: {list(columns)}. "
            f"Received: {names}. Unknown: {foreign}. Missing: {missing}. "
            "Move the file away, or choose another --output."
        )


def _shortened(line):
    text = ",".join(line)
    return f"{text[:60]!r}..." if len(text) > 60 else repr(text)


def write_rows(path, rows, columns=None):
    """Write a CSV file. It is replaced as a whole, so that it is never half written.

    Args:
        path: String or path. The file, which may be missing.
        rows: List of at least one dict, all with the same columns.
        columns: Sequence of strings or None. Order of the columns, by default that of the
            first row.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")  # of this process alone
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def find_row(rows, **wanted):
    """Return the first row with these values, compared as strings, or None."""
    wanted = {key: str(value) for key, value in wanted.items()}
    for row in rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    return None


def grouped(rows, *names):
    """Return lists of rows by their values in some columns. Each list keeps the rows' order."""
    groups = collections.defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def numbers(rows, name):
    """Return a column as an array of floats."""
    return np.array([float(row[name]) for row in rows])


def as_text(number):
    """Return a number with six digits, or "" for None or ""."""
    return "" if number in (None, "") else f"{float(number):.6g}"


def markdown_table(header, rows):
    """Return a Markdown table of strings."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
