"""Records of what layers compute at inference, for code that calls the model around them."""

import collections
import contextlib
import threading

from keras_slashed.keras_faults.recurrent_call import check_recurrent_statistics
from keras_slashed.keras_faults.recurrent_call import recurrent_call

# One for each thread, since TensorFlow traces the replicas of a step in alternating threads.
_thread = threading.local()


@contextlib.contextmanager
def recording():
    """A context in which `record` stores values.

    Tensors of a traced call must not leave it. Enter the context and read the records within
    the same call.

    Yields:
        A dict from each layer to the list of its records, in the order of its calls.
    """
    before = getattr(_thread, "records", None)
    _thread.records = records = collections.defaultdict(list)
    try:
        yield records
    finally:
        _thread.records = before


def is_recording():
    """Return whether this call only records values, so that statistics should not include it."""
    return getattr(_thread, "records", None) is not None


def record(layer, function):
    """Store `function()` as a record of a layer. Outside of `recording`, do nothing.

    The call in which a recurrent layer only finds the shape of the outputs does not count.

    Raises:
        ValueError: If the call is in a loop that the record cannot leave.
    """
    if is_recording() and recurrent_call() != "shape":
        check_recurrent_statistics(layer, leave_as_tensors=True)
        _thread.records[layer].append(function())
