"""The four original files of MNIST."""

import gzip
import pathlib
import struct

import numpy as np

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def read(folder):
    """Read training images, training labels, test images and test labels as bytes.

    Raises:
        FileNotFoundError: The folder lacks one of the files.
        ValueError: One of them is damaged.
    """
    return tuple(read_idx(_find(pathlib.Path(folder), name)) for name in FILES)


def read_idx(path):
    """Read an IDX file of unsigned bytes, gzipped or not, as an array.

    Raises:
        ValueError: The file is not one, or is cut short.
    """
    path = pathlib.Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError) as error:
            raise ValueError(f"{path.name} is a damaged gzip file: {error}") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path.name} is not an IDX file of unsigned bytes: expected it to start with "
            f"00 00 08, received {content[:3].hex(' ') or 'an empty file'}"
        )
    rank = content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start]) if len(content) >= start else ()
    if len(content) - start != int(np.prod(shape)) or not shape:
        raise ValueError(
            f"{path.name} is cut short or too long: its header says shape {shape}, "
            f"and {len(content) - start} bytes follow"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _find(folder, name):
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder} holds no {name}.gz")
