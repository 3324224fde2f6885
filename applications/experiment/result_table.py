"""A table in which each row is made once and is identified by what made it."""

import collections
import dataclasses
import hashlib
import json
import pathlib

import keras

from applications.experiment import claims
from applications.experiment import csv_tables
from applications.experiment.provenance import backend_of


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """A CSV file of results to which several commands may add rows.

    The deciding columns and the backend identify a row, whatever the backend's version. The
    commit does not: the rows of a long queue are made at many commits.
    """

    path: pathlib.Path  # of the file, which may be missing
    columns: tuple  # names of all columns of a row
    deciding: tuple  # names of the columns that identify a row, next to the backend
    naming: tuple  # names of the columns by which messages name a row
    added: dict | None = None  # as in `csv_tables.read_rows`

    def rows(self):
        """Return the rows as dicts of strings.

        Raises:
            TableError: If the file has other columns, a damaged line, or a row twice.
        """
        rows = csv_tables.read_rows(self.path, self.added, self.columns)
        found = collections.Counter(map(self._key, rows))
        for row in rows:
            if found[self._key(row)] > 1:
                raise csv_tables.TableError(
                    f"{self.path} has the row {self._name(row)} of {backend_of(row)} "
                    f"{found[self._key(row)]} times. It would be averaged with itself. Delete "
                    "all its lines but one."
                )
        return rows

    def find(self, wanted, rows=None):
        """Return the row that the present backend made, or None.

        Args:
            wanted: Dict of the deciding columns.
            rows: List of rows that `rows()` returned, or None to read the file.

        Raises:
            TableError: If only another backend made the row.
        """
        rows = self.rows() if rows is None else rows
        same = [row for row in rows if csv_tables.find_row([row], **wanted)]
        present = keras.backend.backend()
        for row in same:
            if backend_of(row) == present:
                return row
        if same:
            raise csv_tables.TableError(
                f"{self.path} has the row {self._name(same[0])}, made by {same[0]['backend']}. "
                + other_backend(backend_of(same[0]))
            )
        return None

    def alike(self, settings, made):
        """Return the rows that settings describe, whatever their seed and the command.

        Args:
            settings: List of dataclasses with the method `columns()`.
            made: Dict of strings. A row of the table. Only rows of its data and backend are
                returned.
        """
        names = [name for name in self.deciding if name not in ("seed", "data_sha256")]
        columns = [setting.columns() for setting in settings]
        described = {tuple(row[name] for name in names) for row in columns}
        return [
            row
            for row in self.rows()
            if tuple(row[name] for name in names) in described
            and row["data_sha256"] == made["data_sha256"]
            and backend_of(row) == backend_of(made)
        ]

    def append(self, row):
        """Add a row. The file is replaced as a whole, and processes wait for one another.

        Args:
            row: Dict. The row, with all columns of the table.

        Raises:
            TableError: If the table has the row already, or the row has other columns.
        """
        row = {name: str(value) for name, value in row.items()}
        if set(row) != set(self.columns):
            raise csv_tables.TableError(
                f"A row of {self.path} needs the columns {list(self.columns)}. "
                f"Received: {list(row)}"
            )
        with claims.writing(self.path):
            rows = csv_tables.read_rows(self.path, self.added, self.columns)
            if self._key(row) in map(self._key, rows):
                raise csv_tables.TableError(f"{self.path} already has the row {self._name(row)}.")
            csv_tables.write_rows(self.path, [*rows, row], list(row))

    def _key(self, row):
        return *(row[name] for name in self.deciding), backend_of(row)

    def _name(self, row):
        return ", ".join(f"{name}={row[name]}" for name in self.naming if row[name])


def other_backend(name):
    """Return the sentences for results that another backend, with this name, made or began."""
    return (
        f"The current backend is {keras.backend.backend()}, and results of two backends must "
        f"not be mixed. Choose another --output, or set KERAS_BACKEND={name}."
    )


def label(words, deciding, data_sha256):
    """Return a unique name for the files of a row.

    Args:
        words: String. What a reader should see of the row.
        deciding: Dict of what identifies the row, without its data.
        data_sha256: String. Checksum of the row's data.
    """
    everything = json.dumps([deciding, data_sha256], sort_keys=True)
    return f"{words}_{hashlib.sha256(everything.encode()).hexdigest()[:8]}"
