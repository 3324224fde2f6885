"""A table whose rows are made once each, and told apart by what made them."""

import collections
import dataclasses
import pathlib

import keras

from applications.experiment import claims
from applications.experiment import csv_tables
from applications.experiment.provenance import backend_of


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """A CSV file of results to which several commands may add rows.

    A row is its deciding columns and the backend that made it, whatever the backend's
    version. The commit does not decide: a long queue runs over many of them.

    Attributes:
        path: The file; it may be missing.
        columns: Names of all columns of a row.
        deciding: Names of those that decide what a row is, the backend aside.
        naming: Names of those by which messages call a row.
        added: See `csv_tables.read_rows`.
    """

    path: pathlib.Path
    columns: tuple
    deciding: tuple
    naming: tuple
    added: dict | None = None

    def rows(self):
        """Return the rows, dicts of strings.

        Raises:
            TableError: The file has other columns, a damaged line, or a row twice.
        """
        rows = csv_tables.read_rows(self.path, self.added, self.columns)
        found = collections.Counter(map(self._key, rows))
        for row in rows:
            if found[self._key(row)] > 1:
                raise csv_tables.TableError(
                    f"{self.path} has the row {self._name(row)} of {backend_of(row)} "
                    f"{found[self._key(row)]} times. It would be averaged with itself: delete "
                    "all its lines but one."
                )
        return rows

    def find(self, wanted, rows=None):
        """Return the row that the present backend made, or None.

        Args:
            wanted: Dict of the deciding columns.
            rows: What `rows()` returned, None to read the file.

        Raises:
            TableError: Another backend made it, and the present one did not.
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

    def append(self, row):
        """Add a row. The file is replaced as a whole; processes wait for one another.

        Args:
            row: A dict.

        Raises:
            TableError: The row is there, or has other columns than the table.
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
                raise csv_tables.TableError(f"{self.path} has the row {self._name(row)} already.")
            csv_tables.write_rows(self.path, [*rows, row], list(row))

    def _key(self, row):
        return *(row[name] for name in self.deciding), backend_of(row)

    def _name(self, row):
        return ", ".join(f"{name}={row[name]}" for name in self.naming if row[name])


def other_backend(name):
    """Return the sentences on what another backend, with this name, has begun or made."""
    return (
        f"The present backend is {keras.backend.backend()}; results of two backends are not "
        f"mixed. Choose another --output, or set KERAS_BACKEND={name}."
    )
