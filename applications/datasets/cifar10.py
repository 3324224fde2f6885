"""CIFAR-10 from the published archives, packed or unpacked."""

import io
import itertools
import pathlib
import pickle
import tarfile

import numpy as np

from applications.datasets import published_sums
from applications.datasets.image_data import check_labeled_images
from applications.datasets.unpacking import read_unpacked

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5",
           "test_batch")  # fmt: skip
IMAGES_IN_A_BATCH = 10_000
_PIXELS = 3 * 32 * 32
_RECONSTRUCT = ("numpy.core.multiarray", "numpy._core.multiarray")


def read(folder):
    """Read CIFAR-10.

    The function reads the first of `cifar-10-python.tar.gz`, `cifar-10-batches-py/`,
    `cifar-10-binary.tar.gz` and `cifar-10-batches-bin/` that exists.

    Args:
        folder: String or path. The folder that holds one of them.

    Returns:
        Tuple of a text that names the source, a boolean that says whether the batches are the
        published ones, and four arrays: training images, training labels, test images and test
        labels. Images are uint8 of shape `(number, 32, 32, 3)`, labels have shape `(number,)`,
        and both have their original order.

    Raises:
        FileNotFoundError: If the folder holds none of them.
        ValueError: If the file is damaged.
    """
    readers = {
        "cifar-10-python.tar.gz": _read_python,
        "cifar-10-batches-py": _read_python,
        "cifar-10-binary.tar.gz": _read_binary,
        "cifar-10-batches-bin": _read_binary,
    }
    folder = pathlib.Path(folder)
    for name, reader in readers.items():
        if (folder / name).exists():
            return reader(folder / name)
    raise FileNotFoundError(f"{folder} holds none of {', '.join(readers)}")


def _read_python(path):
    """Read `cifar-10-python.tar.gz`, or its unpacked folder.

    The checksum of the archive itself must match. The published checksums of the batches need
    not match: other images are loaded too, and the result says so. In a folder, only these
    checksums reveal a damaged pixel.

    Raises:
        ValueError: If it is damaged or incomplete, or if its files were mixed up.
    """
    contents = _contents(path, suffix="")
    batches = {
        name: read_batch(content, f"{name} in {path.name}") for name, content in contents.items()
    }
    return _cifar10("python version", contents, batches, path)


def _read_binary(path):
    """Read `cifar-10-binary.tar.gz`, or its unpacked folder.

    Each record is a label followed by its pixels. Checksums are treated as in `_read_python`.

    Raises:
        ValueError: If it is damaged or incomplete, or if its files were mixed up.
    """
    contents = _contents(path, suffix=".bin")
    batches = {}
    for name, content in contents.items():
        if len(content) % (1 + _PIXELS):
            raise ValueError(
                f"{name} in {path.name} is truncated: expected records of {1 + _PIXELS} bytes, "
                f"received {len(content)} bytes"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
        batches[name] = records[:, 1:], records[:, 0]
    return _cifar10("binary version", contents, batches, path)


def _contents(path, suffix):
    """Return a dict from the name of each batch to its content."""
    wanted = [f"{name}{suffix}" for name in BATCHES]
    if path.is_dir():
        found = {name: read_unpacked(path / name) for name in wanted if (path / name).exists()}
    else:
        # Unpacked as a whole, because the archive may end before the stream with the checksum.
        content = io.BytesIO(read_unpacked(path))
        found = {}
        try:
            with tarfile.open(fileobj=content, mode="r:") as archive:
                for member in archive:
                    name = pathlib.PurePosixPath(member.name).name
                    if name in wanted and member.isfile():
                        found[name] = archive.extractfile(member).read()
        except (EOFError, OSError, tarfile.TarError) as error:
            raise ValueError(f"{path.name} is a damaged archive: {error}") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"{path.name} is incomplete. Missing: {', '.join(missing)}")
    return {name: found[name] for name in wanted}


def _cifar10(version, contents, batches, path):
    size = IMAGES_IN_A_BATCH
    images = np.empty((len(batches), size, 32, 32, 3), np.uint8)
    for into, (name, (pixels, labels)) in zip(images, batches.items()):
        where = f"{name} in {path.name}"
        if pixels.shape != (size, _PIXELS):
            raise ValueError(
                f"{where}: expected {size} images of {_PIXELS} bytes, received shape {pixels.shape}"
            )
        check_labeled_images(where, pixels, labels, (_PIXELS,))
        into[...] = pixels.reshape(size, 3, 32, 32).transpose(0, 2, 3, 1)
    for (one, content), (other, same) in itertools.combinations(contents.items(), 2):
        if content == same:
            raise ValueError(
                f"{one} and {other} in {path.name}: expected different images in each batch, "
                "received the same content twice"
            )
    published = [
        published_sums.is_original(name, content, f"{name} in {path.name}")
        for name, content in contents.items()
    ]
    source = f"original batches, {version}"
    if not all(published):
        source = f"batches that are not the original ones, {version}"
    labels = np.concatenate([labels for _, labels in batches.values()])
    images, train = images.reshape(-1, 32, 32, 3), -size  # the last batch is the test batch
    return source, all(published), images[:train], labels[:train], images[train:], labels[train:]


def read_batch(content, name):
    """Return pixels, uint8 of shape `(number, 3072)`, and labels of a pickled batch.

    A pickle can call any function by its name. Here the three names that a pickled array uses
    are replaced by classes of this module, which only store their arguments. Any other name is
    refused.

    Args:
        content: Bytes. Content of a file `data_batch_1`, ..., `test_batch`.
        name: String. Name of the file in error messages.

    Raises:
        ValueError: If the content is not such a batch.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        pixels = batch[b"data"].to_numpy()
        labels = np.array(batch[b"labels"])
    except Exception as error:
        # A damaged pickle can raise any error.
        raise ValueError(
            f"{name} is not a pickled batch of CIFAR-10 images, or is damaged: "
            f"{type(error).__name__}: {error}"
        ) from error
    return pixels, labels


class _Array:
    """A replacement for `numpy.ndarray`, which stores the state of an array."""

    def __setstate__(self, state):
        _, self.shape, self.dtype, self.fortran_order, self.content = state

    def to_numpy(self):
        if self.dtype.name not in (b"u1", "u1") or self.fortran_order:
            raise ValueError(f"expected rows of unsigned bytes, received dtype {self.dtype.name!r}")
        return np.frombuffer(self.content, np.uint8).reshape(self.shape)


class _Dtype:
    """A replacement for `numpy.dtype`."""

    def __init__(self, name, *_):
        self.name = name

    def __setstate__(self, state):
        pass  # byte order and fields, which bytes do not have


# The Python version, because the one in C allocates gigabytes if a damaged byte asks for them.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module, name):
        if module in _RECONSTRUCT and name == "_reconstruct":
            return lambda *_: _Array()
        if (module, name) == ("numpy", "ndarray"):
            return _Array
        if (module, name) == ("numpy", "dtype"):
            return _Dtype
        raise pickle.UnpicklingError(f"it uses {module}.{name}, which no batch of images needs")
