"""Images with known factors, divided into those to train on and those to measure."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from applications.disentangle import dsprites
from applications.disentangle import sprites

DATASETS = ("sprites", "dsprites")


@dataclasses.dataclass(frozen=True)
class FactorData:
    """Images and their factors."""

    name: str  # of the data set
    source: str  # where the images come from
    factors: tuple  # names of the factors
    x_train: Any  # array (N, 32, 32, 1) of 0 and 1 in float32
    x_test: Any  # array (M, 32, 32, 1), images that are not in `x_train`
    factors_train: Any  # integer array (N, 5)
    factors_test: Any  # integer array (M, 5)
    sha256: str  # checksum of all of it


def load(dataset, train_images=None, test_images=2000):
    """Return the `FactorData` of a data set, in an order that is always the same.

    Args:
        dataset: String. "sprites", which are drawn, or "dsprites", which are downloaded.
        train_images: Integer or None. Number of images to train on. None is all of the sprites,
            or 50,000 of dSprites.
        test_images: Integer. Number of images to measure.
    """
    if dataset == "dsprites":
        images, factors = dsprites.load((train_images or 50_000) + test_images)
        source = "tensorflow-datasets, at half the size"
    else:
        factors = sprites.all_factors()
        images, source = sprites.draw(factors), "drawn by NumPy"
    order = np.random.default_rng(0).permutation(len(images))
    test, train = order[:test_images], order[test_images:][:train_images]
    parts = images[train], images[test], factors[train], factors[test]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part, "int32").tobytes())
    x_train, x_test = (part.astype("float32") for part in parts[:2])
    names = tuple(sprites.FACTORS)
    return FactorData(dataset, source, names, x_train, x_test, *parts[2:], digest.hexdigest())
