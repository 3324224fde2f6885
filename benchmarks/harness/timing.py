"""Time functions against one another, on machines that other work disturbs.

All run in one process and by turns, A B C A B C ...: what slows the machine for a
while slows each of them, and the ratio within one round stays what it was.
"""

import gc
import math
import time
import typing

import keras
import numpy as np

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
            gc.collect(0)  # what the round left
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
