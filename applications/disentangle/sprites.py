"""Sprites that NumPy draws: a shape of some size and orientation, somewhere in an image."""

import itertools

import numpy as np

SIZE = 32  # pixels along a side of an image
# The factors of dSprites (Matthey et al. 2017), which has 3 * 6 * 40 * 32 * 32 images.
FACTORS = {"shape": 3, "scale": 4, "orientation": 10, "x": 12, "y": 12}
_RADII = np.linspace(0.25, 0.42, FACTORS["scale"])  # of the circle around it; the image is 2 wide
_FARTHEST = 0.55  # distance of a center from the middle of the image, along an axis


def all_factors():
    """Return every combination of values of the factors, an integer array (17280, 5)."""
    return np.array(list(itertools.product(*map(range, FACTORS.values()))))


def draw(factors, size=SIZE):
    """Draw a sprite for each row of factors.

    As in dSprites, a pixel is white if its center lies in the shape, and squares and ellipses
    look the same after half a turn. The largest hearts lose up to a twentieth of their area at
    the border of the image.

    Args:
        factors: Integer array of shape (N, 5), in the order of `FACTORS`.
        size: Integer. Number of pixels along a side.

    Returns:
        Array of shape (N, size, size, 1) of 0 and 1, in uint8.
    """
    pieces = [factors[start : start + 500] for start in range(0, len(factors), 500)]
    return np.concatenate([_draw(piece, size) for piece in pieces])


def _draw(factors, size):
    """Draw a few sprites, whose intermediate results are small enough for a processor's cache."""
    shape, scale, orientation, x, y = (column[:, None, None] for column in factors.T)
    centers = (np.arange(size) + 0.5) * 2 / size - 1
    right = centers[None, None, :] - _place(x, FACTORS["x"])
    up = -centers[None, :, None] - _place(y, FACTORS["y"])
    angle = 2 * np.pi * orientation / FACTORS["orientation"]
    u = (np.cos(angle) * right + np.sin(angle) * up) / _RADII[scale]
    v = (np.cos(angle) * up - np.sin(angle) * right) / _RADII[scale]
    square = np.maximum(abs(u), abs(v)) < 0.5**0.5
    ellipse = u * u + v * v / 0.55**2 < 1
    inside = np.select([shape == 0, shape == 1], [square, ellipse], _in_heart(u * 1.2, v * 1.2))
    return inside[..., None].astype("uint8")


def _place(index, count):
    return _FARTHEST * (2 * index / (count - 1) - 1)


def _in_heart(u, v):
    distance = u * u + v * v - 1  # `**` would take ten times as long
    return distance * distance * distance < u * u * v * v * v
