"""What a row says of how it was made."""

import subprocess
import sys

import pytest

from applications.experiment import provenance


def test_a_commit_with_changes_says_so(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    assert provenance.read_commit() == "unknown"
    git("init")
    for folder in ("applications", "benchmarks", "keras_slashed", "docs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("1")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "a")
    clean = provenance.read_commit()
    assert len(clean) == 12
    (tmp_path / "docs" / "a.py").write_text("2")
    assert provenance.read_commit() == clean
    for folder in ("applications", "benchmarks", "keras_slashed"):
        (tmp_path / folder / "a.py").write_text("2")
        assert provenance.read_commit() == f"{clean} with changes"
        git("checkout", folder)


def test_a_process_states_the_commit_that_it_began_with(monkeypatch):
    """Somebody may commit while its rows run, but not what it has imported."""
    before = provenance.commit()
    monkeypatch.setattr(provenance, "read_commit", lambda: "another")
    assert provenance.commit() == provenance.describe_run("module")["commit"] == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data-dir", "/home/me/mnist", "--epochs", "2"], "--data-dir mnist --epochs 2"),
        (["--data-dir=/home/me/mnist", "--epochs=2"], "--data-dir=mnist --epochs=2"),
        (["--data-dir", "relative/mnist"], "--data-dir relative/mnist"),
        (["--data", "a\u2028b\rc\nd"], "--data a?b?c?d"),
    ],
)
def test_the_command(monkeypatch, arguments, expected):
    """Without the location of a folder, and on one line."""
    monkeypatch.setattr(sys, "argv", ["module", *arguments])
    assert provenance.describe_run("module")["command"] == f"python -m module {expected}"
