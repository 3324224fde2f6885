"""Tables of results: CSV files that are whole or refused, and Markdown."""

import collections
import csv
import os
import pathlib

import numpy as np


class TableError(ValueError):
    """A table does not have what it should, or has rows that must not be mixed with others."""


def read_rows(path, added=None, columns=None):
    """Return the rows of a CSV file as dicts of strings; none if it is missing.

    Args:
        path: The file.
        added: Dict of the columns that an older file lacks, with what its rows have there.
        columns: Names of all columns, in any order; None to take what there is.

    Raises:
        TableError: A line is cut, or has too many fields; the columns are others.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is no text: {error}") from None
    return parse_rows(text, path, added, columns)


def parse_rows(text, path, added=None, columns=None):
    """Return the rows of the text of a CSV file; see `read_rows`."""
    if not text:
        return []
    if not text.endswith("\n"):
        raise TableError(f"{path}, line {text.count(chr(10)) + 1} is cut: it has no end of line.")
    added = added or {}
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
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
        raise TableError(f"{path}, line 1 names columns twice. Received: {twice}")
    if columns is None:
        return
    missing = [name for name in columns if name not in names and name not in added]
    foreign = [name for name in names if name not in columns]
    if missing or foreign:
        raise TableError(
            f"{path}, line 1 has other columns than a new row. Expected: {list(columns)}. "
            f"Received: {names}, of which {foreign} are foreign; {missing} are missing. "
            "Move the file away, or choose another --output."
        )


def _shortened(line):
    text = ",".join(line)
    return f"{text[:60]!r}..." if len(text) > 60 else repr(text)


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
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def find_row(rows, **wanted):
    """Return the first row with these values (compared as strings), or None."""
    wanted = {key: str(value) for key, value in wanted.items()}
    for row in rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    return None


def grouped(rows, *names):
    """Return lists of rows by their values of some columns, in the order they came in."""
    groups = collections.defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def numbers(rows, name):
    """Return a column as an array of floats."""
    return np.array([float(row[name]) for row in rows])


def as_text(number):
    """Return six digits of a number, "" for None or ""."""
    return "" if number in (None, "") else f"{float(number):.6g}"


def markdown_table(header, rows):
    """Return a Markdown table of strings."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
