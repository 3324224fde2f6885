"""Time functions against one another, on machines that other work disturbs.

All run in one process and by turns, A B C A B C ...: what slows the machine for a
while slows each of them, and the ratio within one round stays what it was.
"""

import csv
import gc
import math
import os
import pathlib
import re
import time
import typing

import keras
import numpy as np

from applications import results

_FEWEST_ROUNDS = 3  # even where the time is over: fewer have no quartiles


class Spread(typing.NamedTuple):
    """The median of some numbers, and their quartiles."""

    median: float
    low: float
    high: float


def spread(values):
    """Return the `Spread` of a list of numbers."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Spread(float(median), float(low), float(high))


def ratios(samples, reference):
    """Return the `Spread` of each function's time over that of `reference`.

    The ratio is taken within each round, so that a slow round counts for both.

    Args:
        samples: Of `measure`.
        reference: One of its names.
    """
    return {
        name: spread([a / b for a, b in zip(seconds, samples[reference])])
        for name, seconds in samples.items()
    }


def measure(
    calls,
    wait=lambda result: None,
    wait_each=True,
    rounds=15,
    shortest=0.02,
    budget=30.0,
    clock=time.perf_counter,
):
    """Time functions by turns.

    Each is called once for warming up; then it is found out how many calls in a
    row one timing needs, so that the clock's and the scheduler's grain does not
    show in it.

    Args:
        calls: Functions without arguments, by name.
        wait: Called with a function's result; returns when it is there.
        wait_each: Whether to wait after each call, or after the last one of a
            timing: for devices that work through a queue in order.
        rounds: Number of timings of each function.
        shortest: Seconds that one timing lasts at the least.
        budget: Seconds after which no further round starts, from the third on.
        clock: Returns the time in seconds.

    Returns:
        By name, a list of seconds a call, one for each round.
    """

    def seconds(call, repeats):
        start = clock()
        for _ in range(repeats):
            result = call()
            if wait_each:
                wait(result)
        wait(result)
        return clock() - start

    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle of one timing is nobody's cost
    try:
        repeats = {name: _enough(call, seconds, shortest) for name, call in calls.items()}
        samples = {name: [] for name in calls}
        start = clock()
        for done in range(rounds):
            if done >= _FEWEST_ROUNDS and clock() - start > budget:
                break
            for name, call in calls.items():
                samples[name].append(seconds(call, repeats[name]) / repeats[name])
            gc.collect()
    finally:
        if collecting:
            gc.enable()
    return samples


def _enough(call, seconds, shortest):
    """Return how many calls in a row last `shortest` seconds."""
    seconds(call, 1)
    repeats = 1
    while (lasted := seconds(call, repeats)) < shortest:
        # Ten times at once at the most: a first guess from one short call is rough.
        wanted = math.ceil(1.1 * repeats * shortest / lasted) if lasted > 0 else math.inf
        repeats = min(max(wanted, repeats + 1), 10 * repeats)
    return repeats


def waiter():
    """Return `wait` and `wait_each`, as `measure` takes them, for this backend."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        # On a CPU, calls that are not waited for may run side by side.
        return jax.block_until_ready, jax.default_backend() == "cpu"
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return lambda result: tf.test.experimental.sync_devices(), False
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return lambda result: torch.cuda.synchronize(), False
    return lambda result: None, False  # the call returns when the result is there


def threads():
    """Return how many threads the framework may compute on, on a CPU."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.get_num_threads()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def table_path(output, name, run):
    """Return the path of a table, named by backend and kind of device.

    Args:
        output: Its folder.
        name: What the file's name begins with.
        run: Of `applications.provenance.describe_run`.
    """
    device = "cpu" if run["device"].startswith("CPU ") else run["device"].split(",")[0]
    kind = re.sub(r"\W+", "_", device.lower())
    return pathlib.Path(output) / f"{name}_{keras.backend.backend()}_{kind}.csv"


def is_measured(path, case, run):
    """Return whether a table holds a case, measured with the very same code."""
    row = results.find_row(results.read_rows(path), **case)
    # What code "with changes" or "unknown" was, nobody can tell any more.
    known = re.fullmatch("[0-9a-f]+", run["commit"])
    return row is not None and known is not None and row["commit"] == run["commit"]


def replace_rows(path, case, rows):
    """Write the rows of one case into a table, in the place of older ones.

    The file is replaced as a whole: never half written.

    Args:
        path: The table, a CSV file.
        case: The columns and values that all rows of the case have in common.
        rows: Dicts with the same columns.

    Raises:
        ValueError: The file's columns are others than the rows'.
    """
    old = results.read_rows(path)
    if old and list(old[0]) != list(rows[0]):
        raise ValueError(f"{path.name} has other columns. Move it away, or choose another folder.")
    kept = [row for row in old if results.find_row([row], **case) is None]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    os.replace(temporary, path)
