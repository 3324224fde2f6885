"""Claims: one process at a time, gone with it, and no files left behind."""

import multiprocessing
import shutil

import pytest

from applications.experiment import claims

CONTEXT = multiprocessing.get_context("spawn")


def hold(folder, pipe):
    with claims.claim(folder) as is_mine:
        pipe.send(is_mine)
        pipe.recv()


@pytest.fixture
def holder(tmp_path):
    """A process that holds the claim of tmp_path / "row", and a pipe at which it leaves."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold, args=(tmp_path / "row", there), daemon=True)
    process.start()
    assert here.recv()
    yield process, here
    process.kill()


def is_free(folder):
    with claims.claim(folder) as is_mine:
        return is_mine


def test_another_process_holds_it_until_it_leaves(tmp_path, holder):
    process, pipe = holder
    assert not is_free(tmp_path / "row")
    assert is_free(tmp_path / "other row")
    pipe.send("leave")
    process.join()
    assert is_free(tmp_path / "row")


def test_a_killed_process_holds_nothing(tmp_path, holder):
    process, _ = holder
    process.kill()
    process.join()
    assert is_free(tmp_path / "row")
    with claims.claim(tmp_path / "row", wait=True) as is_mine:
        assert is_mine


def test_the_folder_of_what_is_done_goes_with_its_lock(tmp_path):
    with claims.claim(tmp_path / "deep" / "row") as is_mine:
        assert is_mine
        assert not is_free(tmp_path / "deep" / "row")
        shutil.rmtree(tmp_path / "deep" / "row")
    assert not list((tmp_path / "deep").iterdir())
    assert is_free(tmp_path / "deep" / "row")
