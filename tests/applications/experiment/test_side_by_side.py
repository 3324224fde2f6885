import os

import pytest

from applications.experiment import worker_pool
from applications.experiment.table_runner import Progress
from applications.experiment.table_runner import duration


def make_squares(offset):
    def square(job, report):
        report(job, os.getpid())
        if job == 3:
            raise RuntimeError("three is too much")
        if job == 4:
            os._exit(9)  # as when the system kills a process
        return job**2 + offset

    return square


@pytest.mark.experiment("jax")
@pytest.mark.parametrize("workers", [1, 2])
def test_failing_jobs_leave_the_others(workers):
    reports, done, failed = {}, {}, {}
    jobs = [1, 2, 3, 4, 5, 6] if workers > 1 else [1, 2, 3, 5, 6]
    worker_pool.run_jobs(
        jobs,
        make_squares,
        (100,),
        workers,
        lambda job, value, process: reports.setdefault(job, (value, process)),
        done.__setitem__,
        failed.__setitem__,
    )
    assert done == {1: 101, 2: 104, 5: 125, 6: 136}
    assert "RuntimeError: three is too much" in failed.pop(3)
    assert {job: value for job, (value, _) in reports.items()} == {job: job for job in jobs}
    processes = {process for _, process in reports.values()}
    if workers > 1:
        assert failed == {4: "its process ended with exit code 9"}
        assert os.getpid() not in processes
        assert len(processes) in (2, 3), "one in place of the one that died, if jobs are left"
    else:
        assert not failed
        assert processes == {os.getpid()}


def environment_of_worker():
    return lambda job, report: {name: os.environ.get(name) for name in job}


@pytest.mark.experiment("jax")
def test_workers_share_the_machine_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NPROC", raising=False)
    found = []
    names = ("OMP_NUM_THREADS", "NPROC")
    worker_pool.run_jobs(
        [names, names],
        environment_of_worker,
        (),
        2,
        print,
        lambda job, result: found.append(result),
        lambda job, reason: pytest.fail(reason),
    )
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    share = str(max(1, processors // 2))
    assert found == [{"OMP_NUM_THREADS": "7", "NPROC": share}] * 2
    assert "NPROC" not in os.environ


def test_progress():
    now, lines = [0.0], []
    progress = Progress(10, seconds=5.0, clock=lambda: now[0], write=lines.append)
    progress.skip(2)
    progress.say("begins")
    for _ in range(4):
        now[0] += 2.0
        progress.step("step")
    progress.step("not a word", quiet=True)
    now[0] = 100.0
    progress.skip(3)
    progress.say("done")
    # 8 steps to do; at 6 s three of them are done.
    assert lines == ["begins", "step, 10 s left", "done"]


def test_durations():
    assert [duration(s) for s in (0.4, 59, 61, 3599, 3661)] == [
        "0 s", "59 s", "1 min", "1 h 00 min", "1 h 01 min",
    ]  # fmt: skip
