"""Write the table of what can be exported, each cell checked as the tests check it.

    KERAS_BACKEND=torch python -m tests.keras_slashed.export.export_table

writes `results/export/export_torch.csv` with a line for each format, piece and kind of
inference, and `export.md` from all such files there. For what is "not at hand", install
the packages that `export_formats.py` names.
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
    """Return what became of a cell; "fails", with a traceback, if it is not what it should."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return cell(format, piece, inference, folder)
        except Exception:  # of whatever kind: one failure is no reason to lose the table
            traceback.print_exc(file=sys.stderr)
            return "fails"


def versions(format):
    """Return the versions of the packages that a format wants here."""
    found = []
    for name in PACKAGES.get((format, BACKEND), ()):
        try:
            found.append(f"{name} {importlib.metadata.version(name.replace('_', '-'))}")
        except importlib.metadata.PackageNotFoundError:
            found.append(name)
    return ", ".join(found)


def markdown(folder):
    """Return the table of all backends whose files are there."""
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
    """Return one outcome for all pieces, or each of them where they differ."""
    if not by_piece:
        return "not run"
    if len(set(by_piece.values())) == 1:
        return next(iter(by_piece.values()))
    return ", ".join(f"{piece}: {outcome}" for piece, outcome in by_piece.items())


NOTES = """\
Checked with an encoder that ends in a SlashedNormalSampling, a FixedRateVIB alone, and a
classifier around one.

- equal: outputs are Keras' to 1e-5, whatever the batch size, which for `torch` is left open by
  `dynamic_shapes`; `litert` on torch has a batch of 1.
- draws: each call and row has noise of its own, with the mean and deviation it has in Keras.
- clear error: a ValueError (for `torch`, within Keras' RuntimeError) says that the format cannot
  draw and what to do; nothing is written.
- not offered: Keras exports no model of its own layers either.
- not at hand: packages were missing.
"""


def main():
    """Measure, and write both files."""
    csv_tables.write_rows(FOLDER / f"export_{BACKEND}.csv", measured_rows())
    (FOLDER / "export.md").write_text(markdown(FOLDER))
    print(markdown(FOLDER))


if __name__ == "__main__":
    main()
