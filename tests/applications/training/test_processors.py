"""How many processors there are to compute on."""

import os

import pytest

from applications.training import backends
from tests.support import BACKEND


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound here")
def test_a_bound_process_has_one_processor():
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert backends.processors() == 1
    finally:
        os.sched_setaffinity(0, mine)
    assert backends.processors() == len(mine)


def test_threads(monkeypatch):
    """TensorFlow's variable is heeded there alone."""
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    before = backends.threads()
    assert before >= 1
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert backends.threads() == (7 if BACKEND == "tensorflow" else before)
