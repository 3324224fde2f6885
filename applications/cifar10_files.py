"""Which of the files that CIFAR-10 comes in a folder holds."""

import pathlib

from applications import cifar10_batches
from applications import cifar10_compact

_READERS = {
    "cifar-10-python.tar.gz": cifar10_batches.read_python,
    "cifar-10-batches-py": cifar10_batches.read_python,
    "cifar-10-binary.tar.gz": cifar10_batches.read_binary,
    "cifar-10-batches-bin": cifar10_batches.read_binary,
    "cifar10.npz.xz": cifar10_compact.read_compact,
}
_SMALL_FILE = "cifar10_small.npz"
SMALL_SIZE = (10_000, 2_000)  # training and test images


def read(folder):
    """Read all of CIFAR-10.

    From the first that is there of `cifar-10-python.tar.gz`,
    `cifar-10-batches-py/`, `cifar-10-binary.tar.gz`, `cifar-10-batches-bin/` and
    `cifar10.npz.xz`.

    Returns:
        A `cifar10_images.Cifar10`.

    Raises:
        FileNotFoundError: The folder holds none of them.
        ValueError: The file is damaged.
    """
    return _read_first(folder, _READERS)


def read_small(folder):
    """Read the first 10,000 training and 2,000 test images.

    From `cifar10_small.npz`, or else from any file that `read` knows.

    Returns:
        A `cifar10_images.Cifar10`.

    Raises:
        FileNotFoundError: The folder holds none of them.
        ValueError: The file is damaged.
    """
    readers = {_SMALL_FILE: cifar10_compact.read_small, **_READERS}
    return _read_first(folder, readers).first(*SMALL_SIZE)


def _read_first(folder, readers):
    folder = pathlib.Path(folder)
    for name, reader in readers.items():
        if (folder / name).exists():
            return reader(folder / name)
    raise FileNotFoundError(f"{folder} holds none of {', '.join(readers)}")
