"""Compact copies of CIFAR-10, some of whose images are decoded JPEG copies."""

import io
import zipfile

import numpy as np

from applications.datasets import cifar10
from applications.datasets.unpacking import read_unpacked

_SMALL_KEYS = ("x_train", "y_train", "x_test", "y_test", "jpeg_train", "jpeg_test")


def read_compact(path):
    """Read `cifar10.npz.xz`: all images as differences between pixels.

    Its `residual`, of shape `(3, number, 32, 32)`, summed up along the rows' and
    the columns' axis, is green, red - green and blue - green, all modulo 256.

    Raises:
        ValueError: It is damaged.
    """
    planes, labels, jpeg = _load_npz(path, ("residual", "y", "jpeg_index"))
    number = len(cifar10.BATCHES) * cifar10.IMAGES_IN_A_BATCH
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
    return cifar10.Cifar10.from_batches(f"compact file {path.name}", images, labels, jpeg)


def read_small(path):
    """Read `cifar10_small.npz`: the first 10,000 training and 2,000 test images.

    Raises:
        ValueError: It is damaged.
    """
    data = cifar10.Cifar10(f"compact file {path.name}", *_load_npz(path, _SMALL_KEYS))
    data.files += f", the first {len(data.x_train)} training and {len(data.x_test)} test images"
    return data


def _load_npz(path, keys):
    content = read_unpacked(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # Each is read to its end, where its checksum is compared.
            members = [io.BytesIO(archive.read(f"{key}.npy")) for key in keys]
        return [np.lib.format.read_array(member, allow_pickle=False) for member in members]
    except Exception as error:
        # A damaged zip file fails in any way: as encrypted, as of an unknown compression.
        raise ValueError(
            f"{path.name} is damaged, or not an npz file of {', '.join(keys)}: "
            f"{type(error).__name__}: {error}"
        ) from error
