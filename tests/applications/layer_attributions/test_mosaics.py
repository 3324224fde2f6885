"""Mosaics and the shares of their quarters."""

import numpy as np
import pytest

from applications.layer_attributions.mosaics import composed
from applications.layer_attributions.mosaics import make_mosaics
from applications.layer_attributions.mosaics import quarter_shares

CLASSES = np.repeat(np.arange(6), 3)
# Each image is filled with its class.
IMAGES = np.broadcast_to(CLASSES[:, None, None, None], (18, 4, 6, 3)).astype("float32")


def quarters(x):
    """Return the quarters of one image: above, then below, from left to right."""
    height, width = (length // 2 for length in x.shape[:2])
    top, bottom = x[:height], x[height:]
    return top[:, :width], top[:, width:], bottom[:, :width], bottom[:, width:]


def test_composed():
    images = np.random.default_rng(0).normal(size=(5, 4, 4, 6, 3))
    for own, mosaic in zip(images, composed(images), strict=True):
        assert mosaic.shape == (8, 12, 3)
        for image, quarter in zip(own, quarters(mosaic), strict=True):
            np.testing.assert_array_equal(quarter, image)


def test_mosaics_have_four_classes():
    mosaics = make_mosaics(IMAGES, CLASSES, 200, seed=0)
    assert mosaics.x.shape == (200, 8, 12, 3)
    for x, y, quarter in zip(*mosaics, strict=True):
        parts = quarters(x)
        found = [part.flat[0] for part in parts]
        assert all(np.all(part == one) for part, one in zip(parts, found, strict=True))
        assert len(set(found)) == 4
        assert found[quarter] == y
    # 50 are expected of each quarter, with a standard deviation of 6.
    assert np.all(np.abs(np.bincount(mosaics.quarter) - 50) < 4 * 6.2)
    again = make_mosaics(IMAGES, CLASSES, 200, seed=0)
    np.testing.assert_array_equal(again.x, mosaics.x)


def test_too_few_classes():
    with pytest.raises(ValueError, match=r"at least 4 classes. Received: \[0, 1, 2\]"):
        make_mosaics(IMAGES[:9], CLASSES[:9], 1, seed=0)


def test_quarter_shares():
    maps = np.zeros((3, 4, 6))
    maps[0, 0, 5] = 3.0  # above, on the right
    maps[0, 3, 0] = 1.0  # below, on the left
    maps[1, 2:, 3:] = 2.0
    maps[1, 0, 0] = -50.0  # what speaks against the class does not count
    np.testing.assert_allclose(
        quarter_shares(maps), [[0, 0.75, 0.25, 0], [0, 0, 0, 1], [0.25] * 4], atol=1e-12
    )
