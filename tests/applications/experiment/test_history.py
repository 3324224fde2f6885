"""The history of a row: cut where a process was killed, refused where it is damaged."""

import pytest

from applications.experiment.csv_tables import TableError
from applications.experiment.resumable_training import History

TEXT = "epoch,loss,seconds,val_loss\n0,2.5,1.0,\n1,2.0,1.0,2.25\n2,1.5,1.0,\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "row.csv"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("length", range(TEXT.index("2,1.5"), len(TEXT)))
def test_the_half_line_of_a_killed_process_is_cut(path, length):
    path.write_text(TEXT[:length])
    assert [line["epoch"] for line in History(path, 2).read()] == ["0", "1"]


def test_it_goes_on_behind_the_epochs_that_were_kept(path):
    history = History(path, 1)
    history.on_epoch_end(1, {"loss": 1.0, "seconds": 2.0, "val_loss": 3.0})
    assert path.read_text() == TEXT[: TEXT.index("1,2.0")] + "1,1.0,2.0,3.0\n"
    assert History(path).read() == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("1,2.0,1.0,2.25\n", "1,2.0\n", 3),
        ("1,2.0,1.0,2.25\n", "1,2.0,1.0,2.25,7\n", 3),
        ("1,2.0,1.0,2.25\n", "1,2.a,1.0,2.25\n", 3),
        ("1,2.0,1.0,2.25\n", "", 3),
        ("1,2.0,1.0,2.25\n", "0,2.5,1.0,\n", 3),
        ("2.5", "2.\ufffd", 2),
        ("2,1.5,1.0,\n", "", 4),
    ],
)
def test_a_damaged_line_is_named(path, old, new, line):
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(TableError, match=rf"row\.csv, line {line} is damaged"):
        History(path, 3)
    assert path.read_bytes() == before


def test_other_columns_than_before_are_refused(path):
    history = History(path, 3)
    with pytest.raises(TableError, match=r"row\.csv has other columns"):
        history.on_epoch_end(3, {"loss": 1.0, "accuracy": 0.5, "seconds": 2.0})
    assert path.read_text() == TEXT
