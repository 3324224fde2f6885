"""Parallel jobs in processes that share the machine."""

import collections
import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing import connection

from applications.training.backends import processors


def run_jobs(jobs, make_function, arguments, num_workers, on_report, on_done, on_failed):
    """Call a function for each of a list of jobs, and call back with the results.

    Each worker makes `function = make_function(*arguments)` once, and calls
    `function(job, report)` for each of its jobs. Each call of `report(...)` results in
    `on_report(job, ...)`. With one worker everything runs in this process. With more, each
    worker is a new process with its share of the processors, and all callbacks run in this
    process. A job that fails, or whose process dies, does not affect the others.

    Args:
        jobs: List. Jobs, reports and results must be picklable.
        make_function: Function at the top level of a module, which worker processes import.
        arguments: Tuple. Arguments of `make_function`.
        num_workers: Integer. Number of jobs to run in parallel.
        on_report: Function of the job and the values that its function reported.
        on_done: Function of the job and the result of its function.
        on_failed: Function of the job and a text that states the reason.
    """
    if num_workers > 1 and len(jobs) > 1:
        _run_in_processes(
            collections.deque(jobs),
            (make_function, arguments),
            min(num_workers, len(jobs)),
            on_report,
            on_done,
            on_failed,
        )
        return
    function = None
    for job in jobs:
        try:
            function = function or make_function(*arguments)
            result = function(job, lambda *values, job=job: on_report(job, *values))
        except Exception:
            on_failed(job, traceback.format_exc())
        else:
            on_done(job, result)


def _run_in_processes(jobs, maker, num_workers, on_report, on_done, on_failed):
    context = multiprocessing.get_context("spawn")
    workers = {}  # from each connection to its process and its job

    def employ():
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, *maker), daemon=True)
        with _environment(_share(num_workers)), _without_interrupts():
            process.start()
        there.close()
        workers[here] = process, jobs.popleft()
        here.send(workers[here][1])

    try:
        for _ in range(num_workers):
            employ()
        while workers:
            for pipe in connection.wait(list(workers)):
                process, job = workers[pipe]
                try:
                    kind, *values = pipe.recv()
                except (EOFError, OSError):
                    process.join()
                    del workers[pipe]
                    on_failed(job, f"its process ended with exit code {process.exitcode}")
                    if jobs:
                        employ()
                    continue
                {"report": on_report, "done": on_done, "failed": on_failed}[kind](job, *values)
                if kind == "report":
                    continue
                if jobs:
                    workers[pipe] = process, jobs.popleft()
                    pipe.send(workers[pipe][1])
                else:
                    del workers[pipe]
                    pipe.close()  # the worker ends when its pipe is closed
                    process.join()
    finally:
        for process, _ in workers.values():
            process.terminate()
        for process, _ in workers.values():
            process.join()


def _work(pipe, make_function, arguments):
    """Do the jobs that come through a pipe, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Windows does not inherit it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    function = None
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            function = function or make_function(*arguments)
            message = "done", function(job, lambda *values: pipe.send(("report", *values)))
        except Exception:
            message = "failed", traceback.format_exc()
        pipe.send(message)


def _end_with_parent():
    """End this process when its parent ends, even if the parent is killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


@contextlib.contextmanager
def _without_interrupts():
    """Start processes that ignore Ctrl-C, even during imports. The parent ends its workers."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set signal handlers
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _share(num_workers):
    """Return environment variables with which a worker uses only its share of the machine."""
    threads = str(max(1, processors() // num_workers))
    return {
        "OMP_NUM_THREADS": threads,  # PyTorch
        "NPROC": threads,  # JAX
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        # Each worker takes only the GPU memory that it needs.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        # glibc returns each large array to the system at once. The page faults of allocating
        # it again took a quarter of the time of a step with a large vocabulary. With these
        # settings glibc keeps the memory, but only in its main heap.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**40),
    }


@contextlib.contextmanager
def _environment(variables):
    """Set the environment variables that are not set yet, for processes to be started."""
    missing = {key: value for key, value in variables.items() if key not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for key in missing:
            del os.environ[key]
