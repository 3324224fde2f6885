"""dSprites, through tensorflow-datasets."""

import numpy as np

from applications import extras

_COUNT = 3 * 6 * 40 * 32 * 32
_LABELS = {
    "shape": "label_shape",
    "scale": "label_scale",
    "orientation": "label_orientation",
    "x": "label_x_position",
    "y": "label_y_position",
}


def load(count, seed=0, batch_size=4096):
    """Return some images of dSprites and their factors.

    Args:
        count: Integer. Number of images, which are drawn without replacement.
        seed: Integer. Seed of the choice.
        batch_size: Integer. Number of images in memory at their original size.

    Returns:
        Array (count, 32, 32, 1) of 0 and 1 in uint8, and an integer array (count, 5) of factors. A
        pixel is white if at least half of the four pixels of the original in its place are.
    """
    tfds = extras.load("tensorflow_datasets")
    dataset = tfds.load("dsprites", split="train", shuffle_files=False)
    wanted = np.zeros(_COUNT, "bool")
    wanted[np.random.default_rng(seed).permutation(_COUNT)[:count]] = True
    images, factors, start = [], [], 0
    for batch in tfds.as_numpy(dataset.batch(batch_size)):
        chosen = wanted[start : start + len(batch["image"])]
        start += len(batch["image"])
        images.append(_halved(batch["image"][chosen]))
        factors.append(np.stack([batch[label][chosen] for label in _LABELS.values()], axis=1))
    return np.concatenate(images), np.concatenate(factors).astype("int64")


def _halved(images):
    """Return images (N, 64, 64, 1) at half the size, with pixels of 0 and 1."""
    blocks = (images > 0).reshape(-1, 32, 2, 32, 2, 1)
    return (blocks.sum(axis=(2, 4)) >= 2).astype("uint8")
