"""What layers see at inference, recorded for whoever calls the model around them."""

import collections
import contextlib
import threading

# Of one thread each: TensorFlow traces the replicas of a step by turns, in threads.
_thread = threading.local()


@contextlib.contextmanager
def recording():
    """A context in which `record` keeps what it is given.

    Tensors of a traced call must not leave it: enter the context and take the records
    within the one call.

    Yields:
        A dict with the list of the records of each layer, in the order of its calls.
    """
    before = getattr(_thread, "records", None)
    _thread.records = records = collections.defaultdict(list)
    try:
        yield records
    finally:
        _thread.records = before


def is_recording():
    """Return whether this call is made to record something, and should count as none."""
    return getattr(_thread, "records", None) is not None


def record(layer, function):
    """Keep `function()` as a record of a layer; without a `recording` do nothing."""
    if is_recording():
        _thread.records[layer].append(function())
