"""The command that times stdplus: its table, its picture and what it refuses."""

import pytest

from applications.experiment import csv_tables
from benchmarks.harness import frameworks
from benchmarks.stdplus_speed import __main__ as stdplus_speed
from benchmarks.stdplus_speed import case

SHORT = ["--sizes", "1000", "--repeats", "3", "--seconds", "0", "--modes", frameworks.MODES[0]]


def test_a_table_and_a_picture(tmp_path, capsys):
    stdplus_speed.main([*SHORT, "--output", str(tmp_path)])
    (table,) = tmp_path.glob("speed_*.csv")
    assert table.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    rows = csv_tables.read_rows(table)
    for part in case.PASSES:
        of_pass = [row for row in rows if row["pass"] == part]
        assert {row["function"] for row in of_pass} >= {"softplus", "stdplus", "Algorithm 1"}
        assert float(csv_tables.find_row(of_pass, function="softplus")["ratio"]) == 1.0
        assert float(csv_tables.find_row(of_pass, function="stdplus")["milliseconds"]) > 0.0
    printed = capsys.readouterr().out
    assert "Left out: stdplus" not in printed
    assert str(tmp_path) not in printed + str(rows)


def test_a_size_beyond_memory_is_skipped(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stdplus_speed.costs, "free_memory", lambda: 1000)
    with pytest.raises(SystemExit, match="Nothing was left to measure"):
        stdplus_speed.main([*SHORT, "--output", str(tmp_path)])
    assert "Skipped: float32, 1,000 elements" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", ["1000", "1e3", "10^3"])
def test_sizes(size):
    assert stdplus_speed.parse_arguments(["--sizes", size]).sizes == [1000]


@pytest.mark.parametrize("size", ["0", "-5", "1.5", "2^-1", "many", "1e999", "nan"])
def test_what_is_no_size(size, capsys):
    with pytest.raises(SystemExit):
        stdplus_speed.parse_arguments([f"--sizes={size}"])
    assert "--sizes: must be a positive integer like 1000, 1e6 or 2^28" in capsys.readouterr().err
