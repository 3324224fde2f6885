"""The four original files of MNIST, and others of their kind."""

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
_MOST_AXES = 3  # number, rows and columns of images


def read(folder):
    """Read training images, training labels, test images and test labels as bytes.

    The files may hold other images than MNIST's, and any number of them. They must be
    images of 28 x 28, with as many labels of 0 to 9, and not the same for training and
    test. A file of MNIST's own content must have its own name. Files of another content
    that were mixed up cannot be told where their counts agree, and a damaged pixel not in
    a file that is not gzipped: it has no checksum.

    Args:
        folder: Path of the folder.

    Raises:
        FileNotFoundError: The folder lacks one of the files.
        ValueError: One of them is damaged, or not what its name says.
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
            f"{paths[0].name} and {paths[2].name}: expected other images for the test than for "
            f"training, received the same {len(arrays[0])} images twice"
        )
    return tuple(arrays)


def read_idx(path):
    """Read an IDX file of unsigned bytes, gzipped or not, as an array of 1 to 3 axes.

    Args:
        path: Path of the file.

    Raises:
        ValueError: The file is not one, is damaged or cut short, or is another of MNIST's
            files than its name says.
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
            f"{path.name} is no file of images or labels: expected 1 to {_MOST_AXES} axes, "
            f"received {rank}"
        )
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start]) if len(content) >= start else ()
    if not shape or len(content) - start != math.prod(shape):
        raise ValueError(
            f"{path.name} is cut short or too long: its header says shape {shape}, "
            f"and {max(0, len(content) - start)} bytes follow"
        )
    published_sums.is_original(path.name.removesuffix(".gz"), content, path.name)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _find(folder, name):
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            return path
    raise FileNotFoundError(f"{folder} holds no {name}.gz")
