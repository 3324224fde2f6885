"""Tables of the benchmarks: named by device, filled case by case."""

import pytest

from applications.experiment import csv_tables
from benchmarks.harness import tables


def test_tables_are_named_by_backend_and_device():
    path = tables.table_path("results", "speed", {"device": "CPU x86_64, 2 cores"})
    assert path.name.startswith("speed_")
    assert path.name.endswith("_cpu.csv")
    path = tables.table_path("results", "speed", {"device": "NVIDIA H200, NVIDIA H200"})
    assert path.name.endswith("_nvidia_h200.csv")


def test_a_case_measured_again_replaces_the_old_rows(tmp_path):
    table = tmp_path / "deep" / "speed.csv"

    def rows(dtype, commit):
        return [{"dtype": dtype, "function": f, "commit": commit} for f in ("exp", "copy")]

    tables.replace_rows(table, {"dtype": "float32"}, rows("float32", "abc with changes"))
    tables.replace_rows(table, {"dtype": "float64"}, rows("float64", "abc"))
    found = tables.measured_rows(table, {"dtype": "float64"}, {"commit": "abc"})
    assert found == rows("float64", "abc")
    assert not tables.measured_rows(table, {"dtype": "float64"}, {"commit": "def"})
    assert not tables.measured_rows(table, {"dtype": "float16"}, {"commit": "abc"})
    dirty = {"commit": "abc with changes"}
    assert not tables.measured_rows(table, {"dtype": "float32"}, dirty)
    tables.replace_rows(table, {"dtype": "float16"}, rows("float16", "unknown"))
    assert not tables.measured_rows(table, {"dtype": "float16"}, {"commit": "unknown"})
    tables.replace_rows(table, {"dtype": "float32"}, rows("float32", "def"))
    written = csv_tables.read_rows(table)
    assert written == rows("float64", "abc") + rows("float16", "unknown") + rows("float32", "def")
    with pytest.raises(ValueError, match=r"speed\.csv, line 1 has other columns"):
        tables.replace_rows(table, {"dtype": "float32"}, [{"dtype": "float32"}])
    assert csv_tables.read_rows(table) == written


def test_what_other_versions_measured_is_measured_again(tmp_path):
    path, case = tmp_path / "speed.csv", {"dtype": "float32"}
    run = {
        "command": "python",
        "commit": "abc",
        "backend": "jax 1.0",
        "keras": "3.1",
        "device": "d",
    }
    tables.replace_rows(path, case, [{**case, "seconds": "1", **run}])
    assert tables.measured_rows(path, case, {**run, "command": "another"})
    for name in ("commit", "backend", "keras", "device"):
        assert not tables.measured_rows(path, case, {**run, name: "def"}), name


def test_a_table_of_other_data_or_columns_is_refused_before_measuring(tmp_path):
    path, case = tmp_path / "stress.csv", {"dtype": "float32"}
    run = {"commit": "abc", "data_sha256": "123"}
    tables.replace_rows(path, case, [{**case, "seconds": "1", **run}])
    other = {"dtype": "float64"}
    assert tables.measured_rows(path, other, run) == []
    with pytest.raises(ValueError, match=r"stress\.csv has rows of data with the sha256 123"):
        tables.measured_rows(path, other, {**run, "data_sha256": "456"})
    with pytest.raises(
        ValueError, match=r"stress\.csv, line 1 lacks columns .*Missing: \['width'\]"
    ):
        tables.measured_rows(path, {**other, "width": 3}, run)
