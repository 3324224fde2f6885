import pytest

from applications.experiment import csv_tables


def test_rows_survive(tmp_path):
    table = tmp_path / "deep" / "table.csv"
    assert csv_tables.read_rows(table) == []
    csv_tables.write_rows(table, [{"r": 0.5, "note": 'a, "b"'}, {"r": 1, "note": ""}])
    rows = csv_tables.read_rows(table)
    assert rows == [{"r": "0.5", "note": 'a, "b"'}, {"r": "1", "note": ""}]
    assert csv_tables.find_row(rows, r=1) == rows[1]
    assert csv_tables.find_row(rows, r=1, note="x") is None


TABLE = 'name,device\na,"CPU, 2 cores"\nb,GPU\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,device\na\nb,GPU\n", r"line 2 is damaged\. Expected: 2 fields .*Received: 1, 'a'"),
        ("name,device\na,x,y\n", r"line 2 is damaged\. Expected: 2 fields.*Received: 3, 'a,x,y'"),
        (TABLE[:-4], "line 3 is truncated"),
        (TABLE[:-1], "line 3 is truncated"),
        (TABLE[: TABLE.index(" cores")], "line 2 is truncated"),
        (TABLE[: TABLE.index(" cores")] + "\n", "line 2 is damaged"),
        ("name,name\na,b\n", r"line 1 names some columns twice.*\['name'\]"),
        ("name,extra\na,b\n", r"line 1 .*Unknown: \['extra'\]\. Missing: \['device'\]"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(csv_tables.TableError, match=rf"table\.csv, {message}"):
        csv_tables.read_rows(path, columns=("name", "device"))


def test_a_table_that_is_no_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(TABLE.encode() + b"\xff,\xfe\n")
    with pytest.raises(csv_tables.TableError, match=r"table\.csv is not a text file"):
        csv_tables.read_rows(path)


def test_columns_in_any_order_and_those_added_since(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\ufeffdevice,name\nGPU,b\n", encoding="utf-8")  # as spreadsheets write it
    rows = csv_tables.read_rows(path, {"width": "64"}, ("name", "width", "device"))
    assert rows == [{"name": "b", "device": "GPU", "width": "64"}]


def test_markdown():
    assert csv_tables.markdown_table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
