import pytest

from applications import accuracy_rate
from applications.experiment import csv_tables


@pytest.mark.experiment("torch")
def test_the_command_writes_tables_and_a_picture(tmp_path):
    """A larger beta gives a lower rate, and a set rate is reached."""
    options = ["--dataset", "digits", "--epochs", "3", "--output", str(tmp_path), "--quiet"]
    options += ["--betas", "0.0001", "1.0", "--rate-multipliers", "0.5"]
    options += ["--normalizations", "batch"]
    accuracy_rate.main(options)
    weighted = csv_tables.read_rows(tmp_path / "beta_vib_digits.csv")
    assert [row["beta"] for row in weighted] == ["0.0001", "1"]
    assert all(row["r"] == row["part"] == row["target_nats"] == "" for row in weighted)
    assert float(weighted[0]["rate_nats"]) > 2 * float(weighted[1]["rate_nats"])
    assert float(weighted[0]["test_rate_nats"]) > 2 * float(weighted[1]["test_rate_nats"])
    (fixed,) = csv_tables.read_rows(tmp_path / "table1_digits.csv")
    assert float(fixed["rate_nats"]) == pytest.approx(float(fixed["target_nats"]), rel=1e-4)
    assert (tmp_path / "accuracy_rate_digits.png").read_bytes()[:4] == b"\x89PNG"
    assert "| beta_vib | 0.0001 |" in (tmp_path / "beta_vib_digits.md").read_text()
    before = (tmp_path / "beta_vib_digits.csv").read_bytes()
    accuracy_rate.main(options)
    assert (tmp_path / "beta_vib_digits.csv").read_bytes() == before, "finished rows are kept"
