"""Linear interpolation of maps that keeps their sums."""

import numpy as np

from keras_slashed.validation import check_positive_integer


def resized(maps, shape):
    """Return maps of another size with the same sums.

    Args:
        maps: Array of shape `(N, ...)`. Values of 0 or more.
        shape: Tuple of integers, the lengths of all axes after the first one.

    Returns:
        Float array of shape `(N, *shape)`.

    Raises:
        ValueError: If the maps have another number of axes.
    """
    shape = tuple(shape)
    if len(shape) != maps.ndim - 1:
        raise ValueError(
            f"Argument `shape` must have {maps.ndim - 1} lengths, one for each axis between the "
            f"first and the last one of the map. Received: shape={shape}"
        )
    found = maps.astype("float64")
    for axis, length in enumerate(shape, start=1):
        check_positive_integer("shape", length)
        weights = _weights(found.shape[axis], length)
        found = np.moveaxis(np.moveaxis(found, axis, -1) @ weights, -1, axis)
    axes = tuple(range(1, maps.ndim))
    before = maps.sum(axis=axes, keepdims=True, dtype="float64")
    after = found.sum(axis=axes, keepdims=True)
    return found * np.divide(before, after, out=np.zeros_like(after), where=after > 0)


def _weights(old, new):
    """Return the matrix, (old, new), of linear interpolation between the centers of pixels.

    In a smaller map, each pixel is a weighted mean over the larger one's pixels around it.
    """
    scale = max(1.0, old / new)
    centers = (np.arange(new) + 0.5) * old / new - 0.5
    distance = np.abs(np.arange(old)[:, None] - centers) / scale
    weights = np.maximum(0.0, 1.0 - distance)
    return weights / weights.sum(axis=0)
