"""Compare the times of functions on a machine that other work may disturb.

All functions run in one process and in turns, A B C A B C ... Whatever slows the machine for a
while slows each of them, and the ratios within a round remain the same.
"""

import gc
import math
import time
import typing

import keras
import numpy as np

_FEWEST_ROUNDS = 3  # even after the time is over, since fewer have no quartiles


class Spread(typing.NamedTuple):
    """The median and the quartiles of some numbers."""

    median: float
    low: float
    high: float


def spread(values):
    """Return the `Spread` of a list of numbers."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Spread(float(median), float(low), float(high))


def ratios(samples, reference):
    """Return the `Spread` of each function's time over that of `reference`.

    The ratio is computed within each round, so that a slow round affects both times.

    Args:
        samples: Dict that `measure` returned.
        reference: String. One of its names.
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
    """Time functions in turns.

    Each function is called once to warm up. The function then determines how many calls in a
    row one timing needs, so that the resolution of clock and scheduler does not matter.

    Args:
        calls: Dict from names to functions without arguments.
        wait: Function of a result. It returns when the result is available.
        wait_each: Boolean. Whether to wait after each call. If False, it waits only after the
            last call of a timing, for devices that process a queue in order.
        rounds: Integer. Number of timings of each function.
        shortest: Float. Minimum seconds of one timing.
        budget: Float. Seconds after which no further round starts, once there are three.
        clock: Function that returns the time in seconds.

    Returns:
        Dict from names to lists of seconds per call, with one entry for each round.
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
    gc.disable()  # a collection during a timing must not count as its cost
    try:
        repeats = {name: _enough(call, seconds, shortest) for name, call in calls.items()}
        samples = {name: [] for name in calls}
        start = clock()
        for done in range(rounds):
            if done >= _FEWEST_ROUNDS and clock() - start > budget:
                break
            for name, call in calls.items():
                samples[name].append(seconds(call, repeats[name]) / repeats[name])
            gc.collect(0)  # collects the garbage of the round
    finally:
        if collecting:
            gc.enable()
    return samples


def _enough(call, seconds, shortest):
    """Return how many calls in a row last `shortest` seconds."""
    seconds(call, 1)
    repeats = 1
    while (lasted := seconds(call, repeats)) < shortest:
        # At most ten times more at once, since a first guess from one short call is rough.
        wanted = math.ceil(1.1 * repeats * shortest / lasted) if lasted > 0 else math.inf
        repeats = min(max(wanted, repeats + 1), 10 * repeats)
    return repeats


def waiter():
    """Return `wait` and `wait_each`, as `measure` takes them, for this backend."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        # On a CPU, calls may run in parallel unless each is waited for.
        return jax.block_until_ready, jax.default_backend() == "cpu"
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return lambda result: tf.test.experimental.sync_devices(), False
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return lambda result: torch.cuda.synchronize(), False
    return lambda result: None, False  # the call returns when the result is available
