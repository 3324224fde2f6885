"""Write the table of what can be exported, each cell checked as the tests check it.

    KERAS_BACKEND=torch python -m tests.keras_slashed.export.export_table

writes `results/export/export_torch.csv` with a line for each format, piece and kind of
inference, and `export.md` from all such files in that folder. For cells that are "not available",
install the packages that `tests/keras_slashed/export/formats.py` names.
"""

import importlib.metadata
import sys
import tempfile
import traceback

from applications.experiment import csv_tables
from applications.experiment import provenance
from tests.keras_slashed.export.cells import cell
from tests.keras_slashed.export.formats import FILES
from tests.keras_slashed.export.formats import PACKAGES
from tests.keras_slashed.export.pieces import INFERENCES
from tests.keras_slashed.export.pieces import PIECES
from tests.support import BACKEND
from tests.support import ROOT

FOLDER = ROOT / "results" / "export"
BACKENDS = ("tensorflow", "jax", "torch")


def measured_rows(formats=tuple(FILES)):
    """Return a row for each cell of this backend."""
    run = provenance.describe_run("tests.keras_slashed.export.export_table")
    rows = []
    for format in formats:
        for piece in PIECES:
            for inference in INFERENCES:
                outcome = checked_cell(format, piece, inference)
                case = {"format": format, "piece": piece, "inference": inference}
                rows.append({**case, "outcome": outcome, "packages": versions(format), **run})
    return rows


def checked_cell(format, piece, inference):
    """Return the outcome of a cell. After an unexpected outcome it is "fails"."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return cell(format, piece, inference, folder)
        except Exception:  # of any kind, so that one failure does not lose the table
            traceback.print_exc(file=sys.stderr)
            return "fails"


def versions(format):
    """Return the versions of the packages that a format needs on this backend."""
    found = []
    for name in PACKAGES.get((format, BACKEND), ()):
        try:
            found.append(f"{name} {importlib.metadata.version(name.replace('_', '-'))}")
        except importlib.metadata.PackageNotFoundError:
            found.append(name)
    return ", ".join(found)


def markdown(folder):
    """Return the table of all backends whose files exist."""
    outcomes = {}
    for backend in BACKENDS:
        for row in csv_tables.read_rows(folder / f"export_{backend}.csv"):
            key = (row["format"], row["inference"], backend)
            outcomes.setdefault(key, {})[row["piece"]] = row["outcome"]
    lines = [
        "| format | inference | " + " | ".join(BACKENDS) + " |",
        "| --- | --- | " + " | ".join("---" for _ in BACKENDS) + " |",
    ]
    for format in FILES:
        for inference in INFERENCES:
            cells = [in_words(outcomes.get((format, inference, backend))) for backend in BACKENDS]
            lines.append(f"| `{format}` | {inference} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", NOTES])


def in_words(by_piece):
    """Return the common outcome of all pieces, or that of each piece if they differ."""
    if not by_piece:
        return "not run"
    if len(set(by_piece.values())) == 1:
        return next(iter(by_piece.values()))
    return ", ".join(f"{piece}: {outcome}" for piece, outcome in by_piece.items())


NOTES = """\
Each cell was checked with an encoder that ends in a SlashedNormalSampling, with a FixedRateVIB
alone, and with a classifier that contains one.

- equal: The outputs equal those of Keras to 1e-5 for any batch size. For `torch`, `dynamic_shapes`
  leaves the batch size open. `litert` on torch has a batch size of 1.
- draws: Each call and each row has its own noise, with the same mean and standard deviation as in
  Keras.
- clear error: A ValueError (for `torch`, within Keras' RuntimeError) states that the format cannot
  draw and what to do. Nothing is written.
- not offered: Keras cannot export a model of its own layers to this format either.
- not available: Packages were missing.
"""


def main():
    """Measure, and write both files."""
    csv_tables.write_rows(FOLDER / f"export_{BACKEND}.csv", measured_rows())
    (FOLDER / "export.md").write_text(markdown(FOLDER))
    print(markdown(FOLDER))


if __name__ == "__main__":
    main()
