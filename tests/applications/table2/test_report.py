"""Table 2 as Markdown separates backends and data, and names them."""

import json

import pytest

from applications.table2 import report
from applications.table2.config import TextSetting

MADE_BY = {"commit": "abc", "backend": "jax 1.0", "keras": "3.1", "device": "CPU, 2 cores"}


def row(name="batch", nll="100", **changes):
    columns = {**TextSetting(row=name).columns(), "nll": nll, "kl": "6.5", "au": "32", "mi": "3"}
    return {**columns, "data_sha256": "0", "documents": "2", "label": "it", **MADE_BY, **changes}


@pytest.fixture
def markdown(tmp_path):
    (tmp_path / "measures").mkdir()
    (tmp_path / "measures" / "it.json").write_text(json.dumps({"nll_of_documents": [1.0, 2.0]}))
    return lambda *rows: report.markdown(list(rows), tmp_path, "table2_ptb.csv")


def test_seeds_of_different_commits_are_told(markdown):
    text = markdown(row(), row(seed="1", nll="102", commit="def"))
    assert "| 400 | 0, 1 (from 2 commits) | 101.00 ± 1.41 (" in text
    assert text.endswith(
        "\n\nMade by (number of rows): jax 1.0 (2); commit abc (1), commit def (1); "
        "Keras 3.1 (2); CPU, 2 cores (2).\n"
    )


def test_backends_and_data_are_apart(markdown):
    text = markdown(row(), row(nll="102", seed="1", backend="torch 2"))
    assert "| not the paper's |" in text
    assert "| backend=jax | 400 | 0 | 100.00 " in text
    assert "| backend=torch | 400 | 1 | 102.00 " in text
    text = markdown(row(), row(nll="102", data_sha256="1"))
    assert "| data_sha256=1 | 400 | 0 | 102.00 " in text


def test_nothing_is_compared_with_the_vae_of_another_backend(markdown):
    assert "| +0.00 ± 0.00 |" in markdown(row("vae"), row())
    assert "| +0.00 ± 0.00 |" not in markdown(row("vae"), row(backend="torch 2"))


def test_the_same_seed_is_compared(markdown, tmp_path):
    """Whatever the order of the rows in the file."""
    for label, shift in (("vae0", 0.0), ("vae1", 50.0), ("batch0", 1.0), ("batch1", 51.0)):
        values = json.dumps({"nll_of_documents": [1.0 + shift, 2.0 + shift]})
        (tmp_path / "measures" / f"{label}.json").write_text(values)
    rows = [row(name, seed=seed, label=f"{name}{seed}") for name, seed in
            (("vae", "1"), ("vae", "0"), ("batch", "0"), ("batch", "1"))]  # fmt: skip
    assert "| +1.00 ± 0.00 |" in markdown(*rows)
    assert "| +1.00 ± 0.00 |" in markdown(*rows[:1], rows[3])
    assert " ± 0.00 |" not in markdown(rows[0], rows[2])  # no seed in common


def test_a_seed_is_not_averaged_with_itself():
    with pytest.raises(ValueError, match=r"Received: seeds 0, 0 of the row .*batch"):
        report.groups([row(), row()])


def test_scales_of_a_learnable_rate_are_told_apart(markdown):
    slow, fast = (row("decoupled_80", rate_scale=scale) for scale in ("20.0", "100.0"))
    assert "rate_scale" not in markdown(row("vae"), slow)
    text = markdown(row("vae"), slow, fast)
    assert "| rate_scale=20.0 | 400 | 0 | 100.00 " in text
    assert "| rate_scale=100.0 | 400 | 0 | 100.00 " in text
    assert text.count("rate_scale") == 2
