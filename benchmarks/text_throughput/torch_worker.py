"""A process that trains the model written in PyTorch, kept alive between timings.

Two frameworks in one process would compete for threads and memory. This process imports PyTorch
and not Keras. `TorchWorker` starts it and sends it batches. While one of the two processes
computes, the other waits for a message.
"""

import importlib.util
import os
import time
import typing
from concurrent.futures.process import BrokenProcessPool

from benchmarks.harness import processes


class Timed(typing.NamedTuple):
    """The time that a call took, and its result."""

    wall: float  # seconds
    processor: float  # seconds of processor time of this process, summed over processors
    result: object


def timed(function, *arguments):
    """Call a function, and return a `Timed`."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return Timed(time.perf_counter() - wall, time.process_time() - processor, result)


def torch_is_installed():
    """Return whether `TorchWorker` can work here."""
    return importlib.util.find_spec("torch") is not None


class TorchWorker:
    """A context with `HandWrittenTraining` in a separate process, which ends with the context.

    Args:
        threads: Integer. Number of threads of PyTorch.
        **options: Keyword arguments of `HandWrittenTraining`.

    Raises:
        RuntimeError: If the process failed. It prints the reason itself.
    """

    def __init__(self, threads, **options):
        self._process = processes.new_process(_start, threads, options)
        self._call(bool)  # until it is ready

    def train(self, batches):
        """Train on a list of arrays, and return a `Timed` of the mean loss."""
        return self._call(_train, batches)

    def _call(self, function, *arguments):
        try:
            return self._process.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise RuntimeError("The process that trains with PyTorch ended early") from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.shutdown()


_worker = {}


def _start(threads, options):
    # Otherwise PyTorch's threads wait for one another in a busy loop, which doubles the processor
    # time if other work keeps one of them from running.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from benchmarks.text_throughput.hand_written_torch import HandWrittenTraining

    torch.set_num_threads(threads)
    _worker["training"] = HandWrittenTraining(**options)


def _train(batches):
    return timed(_worker["training"].train, batches)
