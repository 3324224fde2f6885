"""Tables of results: a CSV that grows row by row, and Markdown."""

import csv
import os
import pathlib


def read_rows(path):
    """Return the rows of a CSV file as dicts of strings; none if it is missing."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def append_row(path, row):
    """Add a row to a CSV file, which is replaced as a whole: never half written.

    Raises:
        ValueError: The file's columns are others than the row's.
    """
    path = pathlib.Path(path)
    rows = read_rows(path)
    if rows and list(rows[0]) != list(row):
        raise ValueError(
            f"{path.name} has the columns {list(rows[0])}, the new row {list(row)}. "
            "Move the file away, or choose another folder."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])
    os.replace(temporary, path)


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
