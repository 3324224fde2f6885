"""New processes of the benchmarks."""

import os
import signal
import subprocess
import sys

from benchmarks.harness.processes import in_new_process
from tests.support import ROOT

_KILLED = """
import os, signal
from benchmarks.harness.processes import new_process
new_process().submit(bool).result()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_function_runs_in_another_process():
    assert in_new_process(os.getpid) != os.getpid()


def test_a_process_ends_although_its_parent_is_killed():
    """What both print to is closed once both have ended."""
    command = [sys.executable, "-c", _KILLED]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=120)
    assert done.returncode == -signal.SIGKILL
