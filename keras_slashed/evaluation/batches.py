"""Data sets as batches of the same size."""

import math

import keras
import numpy as np
from keras import tree

from keras_slashed.validation import check_positive_integer

_EXPECTED = (
    "Argument `x` must be an array with at least one axis, a nested structure of such arrays, or "
    "an iterable of batches. Received: {}"
)


def padded_batches(x, batch_size, verbose=0):
    """Yield batches of x, each with its number of real rows.

    A short batch is padded with copies of its first row, so that a function is compiled only
    once for all batches.

    Args:
        x: Array, nested structure of arrays, or iterable of batches. Arrays and tensors are
            split along their first axis. Structures consist of tuples, lists and dicts. An
            iterable may be a `keras.utils.PyDataset`. Each of its batches is such a structure, or
            a tuple `(x, y)` or `(x, y, sample_weight)`, of which only x is used.
        batch_size: Integer. Number of rows in a batch, if x consists of arrays.
        verbose: 0, 1, 2 or "auto". Progress bar, as in `keras.Model.predict`.

    Raises:
        ValueError: If x has another type, is empty, or has arrays of different lengths.
    """
    check_positive_integer("batch_size", batch_size)
    if _is_arrays(x):
        length = _check_same_lengths(x)
        total = math.ceil(length / batch_size)
        batches = (_rows(x, start, start + batch_size) for start in range(0, length, batch_size))
    else:
        total, batches = _given_batches(x)
        batch_size = 0
    seen = 0
    for batch in with_progress(batches, total, verbose):
        batch = tree.map_structure(_to_numpy, batch)
        length = _check_same_lengths(batch)
        batch_size = max(batch_size, length)
        seen += length
        if length:
            yield filled_up(batch, batch_size), length
    if not seen:
        raise ValueError(f"Argument `x` must have at least one instance. Received: {_kind(x)}")


def check_data(x):
    """Raise a ValueError unless x may be arrays or an iterable of batches."""
    is_iterable = hasattr(x, "__iter__") or isinstance(x, keras.utils.PyDataset)
    if not is_iterable or isinstance(x, (str, bytes)) or getattr(x, "shape", None) == ():
        raise ValueError(_EXPECTED.format(_kind(x)))


def with_progress(iterable, total, verbose):
    """Yield the items of an iterable, and show a progress bar of `total` steps."""
    progress = keras.utils.Progbar(total, verbose=1 if verbose == "auto" else verbose)
    step = 0
    for step, item in enumerate(iterable, start=1):
        yield item
        if step != total:
            progress.update(step)
    if step:
        progress.update(step, finalize=True)


def filled_up(x, length):
    """Append copies of the first row to NumPy arrays, so that all have one shape."""
    return tree.map_structure(
        lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], length - len(leaf), axis=0)]), x
    )


def _is_arrays(x):
    leaves = tree.flatten(x)
    return len(leaves) > 0 and all(len(getattr(leaf, "shape", ())) > 0 for leaf in leaves)


def _given_batches(x):
    check_data(x)
    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches is None:
            raise ValueError("Argument `x` must be finite. Received: x.num_batches=None")
        total, batches = x.num_batches, (x[index] for index in range(x.num_batches))
    else:
        total, batches = _length(x), iter(x)
    return total, map(_inputs_of, batches)


def _length(x):
    try:
        return len(x)
    except TypeError:  # generators and some data sets have no known length
        return None


def _inputs_of(batch):
    if isinstance(batch, (tuple, list)):
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(tuple(batch))
    if not _is_arrays(batch):
        raise ValueError(_EXPECTED.format(f"batches of {_kind(batch)}"))
    return batch


def _kind(x):
    return f"{type(x).__name__} of shape {tuple(x.shape)}" if hasattr(x, "shape") else repr(type(x))


def _rows(x, start, stop):
    return tree.map_structure(lambda leaf: leaf[start:stop], x)


def _to_numpy(leaf):
    if keras.ops.is_tensor(leaf):
        return keras.ops.convert_to_numpy(leaf)
    return np.asarray(leaf)


def _check_same_lengths(arrays):
    """Return the length of the first axis of nested arrays. Raise a ValueError if they differ."""
    lengths = {int(array.shape[0]) for array in tree.flatten(arrays)}
    if len(lengths) != 1:
        raise ValueError(
            "The arrays of argument `x` must have first axes of the same length. "
            f"Received lengths: {sorted(lengths)}"
        )
    return lengths.pop()
