"""The original batches of CIFAR-10: the python and the binary version, packed or not."""

import pathlib
import tarfile
import zlib

import numpy as np

from applications import cifar10_images
from applications import cifar10_pickle

_PIXELS = 3 * 32 * 32


def read_python(path):
    """Read `cifar-10-python.tar.gz`, or the folder in it.

    Raises:
        ValueError: It is damaged or incomplete.
    """
    batches = {
        name: cifar10_pickle.read_batch(content, f"{name} in {path.name}")
        for name, content in _contents(path, suffix="").items()
    }
    return _cifar10("original batches, python version", batches, path)


def read_binary(path):
    """Read `cifar-10-binary.tar.gz`, or the folder in it: a label, then the pixels, and so on.

    Raises:
        ValueError: It is damaged or incomplete.
    """
    batches = {}
    for name, content in _contents(path, suffix=".bin").items():
        if len(content) % (1 + _PIXELS):
            raise ValueError(
                f"{name} in {path.name} is cut short: expected records of {1 + _PIXELS} bytes, "
                f"received {len(content)} bytes"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
        batches[name] = records[:, 1:], records[:, 0]
    return _cifar10("original batches, binary version", batches, path)


def _contents(path, suffix):
    """Return the content of each batch by its name, from a folder or an archive."""
    wanted = [f"{name}{suffix}" for name in cifar10_images.BATCHES]
    if path.is_dir():
        found = {file.name: file.read_bytes() for file in path.iterdir() if file.name in wanted}
    else:
        found = {}
        try:
            # As a stream: to go back in a gzip file is to unpack it anew.
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    name = pathlib.PurePosixPath(member.name).name
                    if name in wanted and member.isfile():
                        found[name] = archive.extractfile(member).read()
        except (EOFError, OSError, tarfile.TarError, zlib.error) as error:
            raise ValueError(f"{path.name} is a damaged archive: {error}") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"{path.name} is incomplete: it holds no {', '.join(missing)}")
    return {name: found[name] for name in wanted}


def _cifar10(files, batches, path):
    size = cifar10_images.IMAGES_IN_A_BATCH
    images = np.empty((len(batches), size, 32, 32, 3), np.uint8)
    for into, (name, (pixels, labels)) in zip(images, batches.items()):
        if pixels.shape != (size, _PIXELS) or labels.shape != (size,):
            raise ValueError(
                f"{name} in {path.name}: expected {size} images of {_PIXELS} bytes and as many "
                f"labels, received shapes {pixels.shape} and {labels.shape}"
            )
        into[...] = pixels.reshape(size, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = np.concatenate([labels for _, labels in batches.values()])
    return cifar10_images.Cifar10.from_batches(files, images.reshape(-1, 32, 32, 3), labels)
