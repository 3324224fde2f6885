"""The four original files of MNIST, and other files of the same format."""

import math
import pathlib
import struct

import numpy as np

from applications.datasets import published_sums
from applications.datasets import unpacking
from applications.datasets.image_data import check_labeled_images

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MOST_AXES = 3  # images, rows and columns


def read(folder):
    """Read training images, training labels, test images and test labels as bytes.

    The files may have other images than MNIST's, and any number of them. The images must be
    28 x 28, with a label from 0 to 9 for each, and training and test images must differ. A file
    with MNIST's own content must have its own name. Two faults cannot be detected: swapped
    files of other content with equal counts, and a damaged pixel in a file that is not gzipped,
    since it has no checksum.

    Args:
        folder: String or path. The folder.

    Raises:
        FileNotFoundError: If the folder lacks one of the files.
        ValueError: If one of them is damaged, or is not what its name says.
    """
    paths = [_find(pathlib.Path(folder), name) for name in FILES]
    arrays = [read_idx(path) for path in paths]
    for images, labels in ((0, 1), (2, 3)):
        check_labeled_images(
            f"{paths[images].name} and {paths[labels].name}",
            arrays[images],
            arrays[labels],
            (28, 28),
        )
    if np.array_equal(arrays[0], arrays[2]):
        raise ValueError(
            f"{paths[0].name} and {paths[2].name}: expected different images for training and "
            f"test, received the same {len(arrays[0])} images twice"
        )
    return tuple(arrays)


def read_idx(path):
    """Read an IDX file of unsigned bytes, gzipped or not, as an array with 1 to 3 axes.

    Args:
        path: String or path. The file.

    Raises:
        ValueError: If it is not such a file, is damaged or truncated, or is one of MNIST's
            files under the name of another one.
    """
    path = pathlib.Path(path)
    content = unpacking.read_unpacked(path)
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path.name} is not an IDX file of unsigned bytes: expected it to start with "
            f"00 00 08, received {content[:3].hex(' ') or 'an empty file'}"
        )
    rank = content[3]
    if not 1 <= rank <= _MOST_AXES:
        raise ValueError(
            f"{path.name} is not a file of images or labels: expected 1 to {_MOST_AXES} axes, "
            f"received {rank}"
        )
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start]) if len(content) >= start else ()
    if not shape or len(content) - start != math.prod(shape):
        raise ValueError(
            f"{path.name} is truncated or too long: its header says shape {shape}, "
            f"and {max(0, len(content) - start)} bytes follow"
        )
    published_sums.is_original(path.name.removesuffix(".gz"), content, path.name)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _find(folder, name):
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            return path
    raise FileNotFoundError(f"{folder} does not contain {name}.gz")
