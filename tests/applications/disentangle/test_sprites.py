"""The sprites have the size, place and symmetry that their factors say."""

import math

import numpy as np
import pytest

from applications.disentangle import data
from applications.disentangle import dsprites
from applications.disentangle import sprites

RADII = np.linspace(0.25, 0.42, 4)
FINE = 256


def one(shape, scale=1, orientation=0, x=4, y=7, size=FINE):
    return sprites.draw(np.array([[shape, scale, orientation, x, y]]), size)[0, ..., 0]


def test_every_combination_once():
    factors = sprites.all_factors()
    assert factors.shape == (3 * 4 * 10 * 12 * 12, 5)
    assert len(np.unique(factors, axis=0)) == len(factors)
    np.testing.assert_array_equal(factors.max(axis=0), [2, 3, 9, 11, 11])
    images = sprites.draw(factors[::977])
    assert images.shape == (18, 32, 32, 1)
    assert images.dtype == "uint8"
    assert set(np.unique(images)) == {0, 1}


@pytest.mark.parametrize("scale", range(4))
def test_areas(scale):
    """Of a square in the circle, and of an ellipse, as shares of an image that is 2 wide."""
    radius = RADII[scale]
    for shape, area in ((0, 2 * radius**2), (1, math.pi * 0.55 * radius**2)):
        for orientation in (0, 3):
            drawn = one(shape, scale, orientation).mean() * 4
            assert drawn == pytest.approx(area, rel=0.02)


def test_places():
    """The center of mass is at the place; x grows to the right, and y upward."""
    coordinates = (np.arange(FINE) + 0.5) * 2 / FINE - 1
    for x, y in ((0, 0), (11, 0), (3, 8)):
        image = one(1, x=x, y=y)
        center = image.sum(0) @ coordinates / image.sum(), image.sum(1) @ coordinates / image.sum()
        expected = np.array([2 * x / 11 - 1, 1 - 2 * y / 11]) * 0.55
        np.testing.assert_allclose(center, expected, atol=0.01)


def test_no_sprite_leaves_its_image():
    """But for a corner of the largest hearts at the border."""
    corners = np.array([row for row in sprites.all_factors() if set(row[3:]) <= {0, 11}])
    images = sprites.draw(corners, 64)[..., 0]
    touch = images[:, [0, -1]].any(axis=(1, 2)) | images[:, :, [0, -1]].any(axis=(1, 2))
    assert not touch[(corners[:, 0] < 2) | (corners[:, 1] < 3)].any()
    middle = np.array([[2, 3, 0, 5, 5]])
    whole = sprites.draw(middle, 64).sum()
    assert images[corners[:, 0] == 2].sum(axis=(1, 2))[-40:].min() > 0.94 * whole


def test_orientation():
    """Half a turn changes a heart alone; a tenth of a turn changes every shape."""
    for shape in range(3):
        same = (one(shape, 3, 0) != one(shape, 3, 5)).mean()
        assert (same > 0.005) == (shape == 2)
        assert (one(shape, 3, 0) != one(shape, 3, 1)).mean() > 0.002


def test_division():
    """Images to train on and to measure have no row in common, and are always the same."""
    found = data.load("sprites", 300, 200)
    assert found.x_train.shape == (300, 32, 32, 1)
    assert found.x_test.shape == (200, 32, 32, 1)
    train, test = (set(map(tuple, rows)) for rows in (found.factors_train, found.factors_test))
    assert not train & test
    np.testing.assert_array_equal(found.x_test, sprites.draw(found.factors_test))
    assert found.factors == ("shape", "scale", "orientation", "x", "y")
    assert data.load("sprites", 300, 200).sha256 == found.sha256
    assert data.load("sprites", 301, 200).sha256 != found.sha256


class _FakeDatasets:
    """What `dsprites.load` uses of tensorflow-datasets: batches of dicts of arrays."""

    def __init__(self, count):
        rng = np.random.default_rng(0)
        self.labels = {name: rng.integers(40, size=count) for name in dsprites._LABELS.values()}
        self.images = np.zeros((count, 64, 64, 1), "uint8")
        self.images[:, 10:12, 20:22] = 1  # a whole pixel at half the size
        self.images[:, 30, 40] = 1  # a quarter of one

    def load(self, name, split, shuffle_files):
        assert (name, split, shuffle_files) == ("dsprites", "train", False)
        return self

    def batch(self, size):
        rows = range(0, len(self.images), size)
        everything = {"image": self.images, **self.labels}
        return [{key: value[i : i + size] for key, value in everything.items()} for i in rows]

    def as_numpy(self, batches):
        return batches


def test_dsprites(monkeypatch):
    """Rows of the data set at half its size, each at most once, the same ones each time."""
    fake = _FakeDatasets(100)
    monkeypatch.setattr(dsprites.extras, "load", lambda name: fake)
    monkeypatch.setattr(dsprites, "_COUNT", 100)
    images, factors = dsprites.load(30, batch_size=16)
    assert images.shape == (30, 32, 32, 1)
    expected = np.zeros((32, 32, 1))
    expected[5, 10] = 1
    np.testing.assert_array_equal(images, np.broadcast_to(expected, images.shape))
    everything = np.stack(list(fake.labels.values()), axis=1)
    places = [np.flatnonzero((everything == row).all(axis=1)) for row in factors]
    assert len(set(np.concatenate(places))) == 30
    np.testing.assert_array_equal(dsprites.load(30, batch_size=7)[1], factors)
