"""Compact copies of CIFAR-10, some of whose images are decoded JPEG copies."""

import io
import lzma
import zipfile
import zlib

import numpy as np

from applications import cifar10_images

_SMALL_KEYS = ("x_train", "y_train", "x_test", "y_test", "jpeg_train", "jpeg_test")


def read_compact(path):
    """Read `cifar10.npz.xz`: all images as differences between pixels.

    Its `residual`, of shape `(3, number, 32, 32)`, summed up along the rows' and
    the columns' axis, is green, red - green and blue - green, all modulo 256.

    Raises:
        ValueError: It is damaged.
    """
    try:
        content = lzma.decompress(path.read_bytes())
    except (EOFError, lzma.LZMAError) as error:
        raise ValueError(f"{path.name} is a damaged xz file: {error}") from error
    planes, labels, jpeg = _load_npz(content, path.name, ("residual", "y", "jpeg_index"))
    number = len(cifar10_images.BATCHES) * cifar10_images.IMAGES_IN_A_BATCH
    if planes.shape != (3, number, 32, 32) or planes.dtype != "uint8" or labels.shape != (number,):
        raise ValueError(
            f"{path.name}: expected a uint8 `residual` of shape {(3, number, 32, 32)} and {number} "
            f"labels, received {planes.dtype} {planes.shape} and {labels.shape}"
        )
    for axis in (2, 3):
        np.cumsum(planes, axis=axis, dtype=np.uint8, out=planes)
    green = planes[0]
    planes[1:] += green
    images = np.stack([planes[1], green, planes[2]], axis=-1)
    return cifar10_images.Cifar10.from_batches(f"compact file {path.name}", images, labels, jpeg)


def read_small(path):
    """Read `cifar10_small.npz`: the first 10,000 training and 2,000 test images.

    Raises:
        ValueError: It is damaged.
    """
    arrays = _load_npz(path.read_bytes(), path.name, _SMALL_KEYS)
    files = f"compact file {path.name}, the first {len(arrays[0])} training and {len(arrays[2])} "
    return cifar10_images.Cifar10(f"{files}test images", *arrays)


def _load_npz(content, name, keys):
    try:
        with np.load(io.BytesIO(content)) as archive:
            return [archive[key] for key in keys]
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{name} is damaged, or not an npz file of {', '.join(keys)}: {error}"
        ) from error
