import multiprocessing

import pytest

from applications import results


def test_rows_survive(tmp_path):
    table = tmp_path / "deep" / "table.csv"
    assert results.read_rows(table) == []
    results.append_row(table, {"r": 0.5, "note": 'a, "b"'})
    results.append_row(table, {"r": 1, "note": ""})
    rows = results.read_rows(table)
    assert rows == [{"r": "0.5", "note": 'a, "b"'}, {"r": "1", "note": ""}]
    assert results.find_row(rows, r=1) == rows[1]
    assert results.find_row(rows, r=1, note="x") is None


def test_other_columns_are_refused_and_nothing_is_lost(tmp_path):
    table = tmp_path / "table.csv"
    results.append_row(table, {"r": 1})
    with pytest.raises(ValueError, match=r"\['r'\].*\['s'\]"):
        results.append_row(table, {"s": 2})
    assert results.read_rows(table) == [{"r": "1"}]


def append_rows(table, writer):
    for index in range(20):
        results.append_row(table, {"writer": writer, "index": index})


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    table = tmp_path / "table.csv"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_rows, args=(table, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [(row["writer"], int(row["index"])) for row in results.read_rows(table)]
    assert sorted(found) == [(name, index) for name in "ab" for index in range(20)]


def test_a_folder_in_use(tmp_path):
    with results.locked(tmp_path / "row"):
        with pytest.raises(ValueError, match="at work in row"):
            with results.locked(tmp_path / "row", wait=False):
                pass
    with results.locked(tmp_path / "row", wait=False):
        pass


def test_markdown():
    assert results.markdown_table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
