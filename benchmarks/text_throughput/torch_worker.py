"""A process that trains the model written in PyTorch, kept alive between timings.

    python -m benchmarks.text_throughput.torch_worker THREADS

Two frameworks in one process would compete for threads and memory. This process imports PyTorch
and not Keras. `TorchWorker` starts it and exchanges messages with it. While one of the two
processes computes, the other waits for a message.
"""

import contextlib
import importlib.util
import os
import pathlib
import pickle
import subprocess
import sys
import time
import typing

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class Timed(typing.NamedTuple):
    """The seconds that a call took, and its result.

    Attributes:
        wall: Float. Seconds of wall time.
        processor: Float. Seconds of processor time of this process, summed over processors.
        result: Any object. The result of the call.
    """

    wall: float
    processor: float
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
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            # Otherwise PyTorch's threads wait for one another in a busy loop, which doubles the
            # processor time if other work keeps one of them from running.
            env={"OMP_WAIT_POLICY": "PASSIVE"} | os.environ,
        )
        self._ask(options)  # until it is ready

    def train(self, batches):
        """Train on a list of arrays, and return a `Timed` of the mean loss."""
        return Timed(*self._ask(batches))

    def _ask(self, message):
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError):
            self.close()
            raise RuntimeError("The process that trains with PyTorch ended early") from None

    def close(self):
        """End the process, and wait for its end."""
        with contextlib.suppress(BrokenPipeError):  # the process did not read the last message
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def serve(threads, requests, replies):
    """Answer a message of options, and then messages of batches until the pipe is closed."""
    import torch

    from benchmarks.text_throughput.hand_written_torch import HandWrittenTraining

    def reply(answer):
        pickle.dump(answer, replies)
        replies.flush()

    torch.set_num_threads(threads)
    training = HandWrittenTraining(**pickle.load(requests))
    reply(None)
    while True:
        try:
            batches = pickle.load(requests)
        except EOFError:
            return
        reply(tuple(timed(training.train, batches)))


def main():
    """Serve the process that started this one."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # printed text must not mix with replies
    serve(int(sys.argv[1]), sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
