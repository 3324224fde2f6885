"""The pointing game on mosaics: which of four images holds most of a map?

Reference:
    Zhang et al., Top-down Neural Attention by Excitation Backprop, 2016. The grids of images are
    those of Böhle et al., Convolutional Dynamic Alignment Networks for Interpretable
    Classifications, 2021.
"""

from typing import NamedTuple

import numpy as np

_SIDE = 2


class Mosaics(NamedTuple):
    """Mosaics of 2 x 2 images of different classes."""

    x: np.ndarray  # of shape `(N, 2 height, 2 width, channels)`
    y: np.ndarray  # integers of shape `(N,)`, the class that the classifier is asked for
    # Integers of shape `(N,)`, the quarter of that class. 0 and 1 are above, 2 and 3 below, from
    # left to right.
    quarter: np.ndarray


def make_mosaics(x, y, number, seed):
    """Return mosaics of images drawn at random.

    Args:
        x: NumPy array of shape `(N, height, width, channels)`. The images.
        y: Integer NumPy array of shape `(N,)`. Their classes, at least four different ones.
        number: Integer. Number of mosaics.
        seed: Integer. Seed of the draws.
    """
    count = _SIDE**2
    present = np.unique(y)
    if len(present) < count:
        raise ValueError(
            f"Mosaics require images of at least {count} classes. Received: {present.tolist()}"
        )
    rng = np.random.default_rng(seed)
    classes = np.stack([rng.permutation(present)[:count] for _ in range(number)])
    indices = np.array([[rng.choice(np.flatnonzero(y == one)) for one in row] for row in classes])
    quarter = rng.integers(count, size=number)
    return Mosaics(composed(x[indices]), classes[np.arange(number), quarter], quarter)


def composed(images):
    """Return images of shape `(N, 4, height, width, channels)` as mosaics."""
    number, _, height, width, channels = images.shape
    grid = images.reshape(number, _SIDE, _SIDE, height, width, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(number, _SIDE * height, _SIDE * width, channels)


def quarter_shares(maps):
    """Return the share of each quarter in the positive part of maps, of shape `(N, 4)`.

    Args:
        maps: NumPy array of shape `(N, height, width)` with an even height and width.
    """
    number, height, width = maps.shape
    shape = number, _SIDE, height // _SIDE, _SIDE, width // _SIDE
    sums = np.maximum(maps, 0).reshape(shape).sum(axis=(2, 4), dtype="float64")
    sums = sums.reshape(number, -1)
    total = sums.sum(axis=1, keepdims=True)
    return np.divide(sums, total, out=np.full_like(sums, 1 / _SIDE**2), where=total > 0)
