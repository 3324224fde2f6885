"""Tables that refuse what would be mixed, doubled or damaged."""

import dataclasses
import multiprocessing

import keras
import pytest

from applications.experiment import claims
from applications.experiment import csv_tables
from applications.experiment import provenance
from applications.experiment.result_table import ResultTable
from applications.strong_attacks import report as strong_report
from applications.strong_attacks import row_runner as strong_attacks_row
from applications.strong_attacks import row_runner as strong_rows
from applications.table1 import report as report1
from applications.table1 import row_runner
from applications.table1 import row_runner as rows1
from applications.table2 import report as report2
from applications.table2 import row_runner as rows2
from applications.table2 import row_runner as text_rows
from tests.support import ROOT

HERE = keras.backend.backend()
ELSEWHERE = "torch" if HERE == "jax" else "jax"


def make_table(folder, **options):
    columns = ("row", "error", "seed", "data_sha256", "backend")
    return ResultTable(
        folder / "table.csv", columns, ("row", "seed", "data_sha256"), ("row", "seed"), **options
    )


def make_row(seed=0, backend=f"{HERE} 1.0", **changes):
    row = {"row": "base", "error": "1.5", "seed": seed, "data_sha256": "abc", "backend": backend}
    return {**row, **changes}


def wanted(seed=0):
    return {"row": "base", "seed": str(seed), "data_sha256": "abc"}


def test_a_row_is_its_setting_data_and_backend(tmp_path):
    table = make_table(tmp_path)
    assert table.rows() == []
    assert table.find(wanted()) is None
    table.append(make_row())
    # The version of a backend and the error do not make it another row; the data do.
    with pytest.raises(
        csv_tables.TableError, match=r"table\.csv already has the row row=base, seed=0"
    ):
        table.append(make_row(backend=f"{HERE} 2.0", error="9"))
    table.append(make_row(data_sha256="def"))
    table.append(make_row(seed=1))
    assert [row["seed"] for row in table.rows()] == ["0", "0", "1"]
    assert table.find(wanted(1)) == table.rows()[2]


@dataclasses.dataclass
class _Setting:
    row: str
    seed: int = 0

    def columns(self):
        return {"row": self.row, "seed": str(self.seed)}


def test_rows_of_earlier_commands_are_alike(tmp_path):
    table = make_table(tmp_path)
    alike = [make_row(), make_row(1), make_row(3, f"{HERE} 2.0"), make_row(1, row="batch")]
    others = [make_row(row="dropout"), make_row(data_sha256="def"), make_row(backend="other 1")]
    for row in (alike[0], *others, *alike[1:]):
        table.append(row)
    found = table.alike([_Setting("base"), _Setting("batch"), _Setting("none")], alike[3])
    assert found == [{name: str(value) for name, value in row.items()} for row in alike]


def test_another_backend_s_row_is_refused(tmp_path):
    table = make_table(tmp_path)
    table.append(make_row(backend=f"{ELSEWHERE} 0.1"))
    with pytest.raises(
        ValueError,
        match=rf"has the row row=base, seed=0, made by {ELSEWHERE} 0\.1\. The current backend is "
        rf"{HERE}, .*another --output, or set KERAS_BACKEND={ELSEWHERE}\.",
    ):
        table.find(wanted())
    assert table.find(wanted(1)) is None
    table.append(make_row())
    assert table.find(wanted())["backend"] == f"{HERE} 1.0"


def test_a_row_that_is_there_twice_is_named(tmp_path):
    table = make_table(tmp_path)
    csv_tables.write_rows(table.path, [make_row(), make_row(1), make_row(error="2.5")])
    with pytest.raises(
        ValueError, match=rf"table\.csv has the row row=base, seed=0 of {HERE} 2 times"
    ):
        table.rows()


def test_other_columns_are_refused_and_nothing_is_lost(tmp_path):
    table = make_table(tmp_path)
    table.append(make_row())
    with pytest.raises(ValueError, match=r"needs the columns .*Received: \['r'\]"):
        table.append({"r": 1})
    foreign = [{**row, "color": "red"} for row in table.rows()]
    csv_tables.write_rows(table.path, foreign)
    for use in (table.rows, lambda: table.append(make_row(1))):
        with pytest.raises(ValueError, match=r"line 1 .*Unknown: \['color'\]"):
            use()
    assert csv_tables.read_rows(table.path) == foreign


def append_rows(table, writer):
    for index in range(20):
        table.append(make_row(index, row=writer))


@pytest.mark.experiment("jax")
def test_processes_that_write_at_once_lose_nothing(tmp_path):
    table = make_table(tmp_path)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_rows, args=(table, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [(row["row"], int(row["seed"])) for row in table.rows()]
    assert sorted(found) == [(name, index) for name in "ab" for index in range(20)]
    with claims.writing(table.path):
        pass
    # One lock, whatever was written.
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", ".table.csv.lock"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").glob("**/*.csv")), ids=lambda path: path.stem
)
def test_committed_tables_are_whole(path):
    kinds = {"table1": row_runner, "beta": row_runner, "table2": text_rows,
             "strong": strong_attacks_row}  # fmt: skip
    module = kinds.get(path.stem.split("_")[0])
    rows = module.result_table(path).rows() if module else csv_tables.read_rows(path)
    assert rows
    markdown = path.with_suffix(".md")
    if module and markdown.exists():
        assert markdown.read_text().endswith(f"\n{provenance.made_by(rows)}\n")


RESULTS = ROOT / "results"


def committed(kind):
    return sorted(RESULTS.glob(f"**/{kind}_*.csv"))


@pytest.mark.parametrize(
    "path", [p for kind in ("table1", "beta_vib", "strong_attacks", "table2")
             for p in committed(kind) if p.with_suffix(".md").exists()],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)  # fmt: skip
def test_the_committed_markdown_is_what_the_report_makes_of_the_table(path):
    """The paper's numbers, what differs from the paper's setting, means and all that is rounded."""
    kind = path.stem.split("_")[0]
    if kind == "strong":
        text = strong_report.markdown(strong_rows.result_table(path).rows(), path.name)
    elif kind == "table2":
        text = report2.markdown(rows2.result_table(path).rows(), path.parent, path.name)
    else:
        text = report1.markdown(rows1.result_table(path).rows(), "", path.name)
    committed_text = path.with_suffix(".md").read_text()
    assert text.splitlines()[1:] == committed_text.splitlines()[1:]  # after the title


@pytest.mark.parametrize("text", ["a\u2028b", "a\x0cb", "a\x85b", 'a"b, c', "a\nb"])
def test_odd_characters_are_read_as_written(tmp_path, text):
    """Python's lines end at some characters that do not end a line of a CSV file."""
    path = tmp_path / "table.csv"
    rows = [{"name": text, "value": "1"}, {"name": "b", "value": "2"}]
    csv_tables.write_rows(path, rows)
    assert csv_tables.read_rows(path) == rows
