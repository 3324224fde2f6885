"""A process for each device, with PyTorch."""

import atexit
import os

import pytest

from tests.support import BACKEND

pytestmark = pytest.mark.skipif(BACKEND != "torch", reason="the other backends share a process")


def work_and_die():
    """Return something, and die as the interpreter is taken apart."""
    atexit.register(os.abort)
    return "done"


def fail():
    raise RuntimeError("this process fails")


def test_the_result_is_kept_if_a_process_would_die_as_it_ends():
    from applications.training import devices_torch

    assert devices_torch.run_in_processes(1, work_and_die) == "done"


def test_a_failure_is_raised():
    from applications.training import devices_torch

    with pytest.raises(Exception, match="this process fails"):
        devices_torch.run_in_processes(1, fail)
