"""Commands that Ctrl-C ends: one line, exit status 130, nobody left at work."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from applications.experiment import claims
from tests.applications.table1.test_table1 import wait_for
from tests.support import ROOT
from tests.support import main_module

GOES_ON = "Interrupted. Run the same command again to continue where it stopped."
TABLES = ("table1", "table2", "classifier", "strong_attacks", "half_moons", "accuracy_rate")
BENCHMARKS = ("device_scaling", "text_throughput", "precision_stress", "rate_at_inference",
              "stdplus_speed", "epoch_time", "layer_speed")  # fmt: skip


# Shells start what runs in the background so that it ignores Ctrl-C.
HEARS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def trained(folder):
    """Return the histories of rows that have trained an epoch."""
    return [path for path in folder.glob("history/*.csv") if path.stat().st_size]


@pytest.mark.experiment("jax")
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Ctrl-C of a terminal is POSIX' here")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_command_and_its_workers_end_with_one_line(tmp_path, jobs):
    options = ["--dataset", "digits", "--rows", "base", "--seeds", "0", "1", "--epochs", "5000",
               "--batch-size", "479", "--quiet"]  # fmt: skip
    options += ["--output", str(tmp_path), "--jobs", jobs]
    command = [sys.executable, "-c", HEARS, "-m", "applications.table1", *options]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            wait_for(lambda: len(trained(tmp_path)) == int(jobs), process)
            for _ in range(5):  # JAX may swallow one that comes while it compiles
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to workers as well
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=20)
                    break
        finally:
            process.kill()
        errors = process.stderr.read().decode()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == GOES_ON
    assert "Traceback" not in errors
    for folder in tmp_path.glob("checkpoints/*"):
        with claims.claim(folder) as is_mine:
            assert is_mine, "its worker has ended"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        *((f"applications.{name}", GOES_ON) for name in TABLES),
        ("applications.attributions", "Interrupted. Run the same command again: the training of a "
         "classifier continues where it stopped, and the comparison of the maps starts over."),
        *((f"benchmarks.{name}", "Interrupted. Run the same command again, at the same commit "
           "without changes, to continue where it stopped.") for name in BENCHMARKS),
    ],
)  # fmt: skip
def test_every_command_says_so(module, line, monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    module = main_module(module)
    monkeypatch.setattr(module, "parse_arguments", interrupted)
    with pytest.raises(SystemExit) as ended:
        module.main([])
    assert ended.value.code == 130
    assert capsys.readouterr().err == f"{line}\n"
