"""`benchmarks.code_cost` from the command line to its tables."""

import os

import pytest

from applications.experiment import csv_tables
from benchmarks import code_cost

TINY = ["--bits", "2", "4", "--cores", "1", "--images", "2", "--blocks", "3", "--repeats", "2"]


@pytest.mark.experiment("torch")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="chooses processor cores")
def test_the_command(tmp_path, capsys):
    before = os.sched_getaffinity(0)
    code_cost.main([*TINY, "--output", str(tmp_path)])
    assert os.sched_getaffinity(0) == before
    (path,) = tmp_path.glob("code_cost_*.csv")
    rows = csv_tables.read_rows(path)
    assert [(row["bits"], row["cores"]) for row in rows] == [("2", "1"), ("4", "1")]
    for row in rows:
        for name in ("encode_ms", "encode_processor_ms", "decode_ms", "decode_processor_ms"):
            assert float(row[name]) > 0
        assert float(row["encode_median_ms"]) >= float(row["encode_ms"])
    text = path.with_suffix(".md").read_text()
    assert "an image of 3 blocks of 4 latent dimensions" in text
    assert "| 4 | 1.5 | 1 | " in text
    assert text == capsys.readouterr().out.split("decode\n\n")[-1][:-1]


def test_more_cores_than_there_are(capsys):
    with pytest.raises(SystemExit):
        code_cost.parse_arguments(["--cores", "1000"])
    assert "--cores: this process may run on" in capsys.readouterr().err
