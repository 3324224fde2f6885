"""Which of the files that CIFAR-10 comes in a folder holds."""

import dataclasses
import io
import itertools
import pathlib
import pickle
import tarfile

import numpy as np

from applications import cifar10_compact
from applications.datasets import published_sums
from applications.datasets.image_data import check_labeled_images
from applications.datasets.unpacking import read_unpacked

# FOLDED applications.cifar10_pickle: The pickled batches of CIFAR-10, read without runn
_RECONSTRUCT = ("numpy.core.multiarray", "numpy._core.multiarray")


def read_batch(content, name):
    """Return pixels, uint8 of shape `(number, 3072)`, and labels of a pickled batch.

    A pickle can name any function to be called. Here the three names that a
    pickled array is made of stand for classes of this module, which only keep
    what they are given; any other name is refused.

    Args:
        content: Bytes of a file `data_batch_1`, ..., `test_batch`.
        name: Name of the file, for messages.

    Raises:
        ValueError: It is not such a batch.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        pixels = batch[b"data"].to_numpy()
        labels = np.array(batch[b"labels"])
    except Exception as error:
        # A damaged pickle fails in any way.
        raise ValueError(
            f"{name} is not a pickled batch of CIFAR-10 images, or is damaged: "
            f"{type(error).__name__}: {error}"
        ) from error
    return pixels, labels


class _Array:
    """Stands for `numpy.ndarray`: keeps the state of one."""

    def __setstate__(self, state):
        _, self.shape, self.dtype, self.fortran_order, self.content = state

    def to_numpy(self):
        if self.dtype.name not in (b"u1", "u1") or self.fortran_order:
            raise ValueError(f"expected rows of unsigned bytes, received dtype {self.dtype.name!r}")
        return np.frombuffer(self.content, np.uint8).reshape(self.shape)


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, name, *_):
        self.name = name

    def __setstate__(self, state):
        pass  # of bytes: their order and fields, which they have not


# Written in Python: the one in C makes room for gigabytes where a damaged byte says so.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module, name):
        if module in _RECONSTRUCT and name == "_reconstruct":
            return lambda *_: _Array()
        if (module, name) == ("numpy", "ndarray"):
            return _Array
        if (module, name) == ("numpy", "dtype"):
            return _Dtype
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no batch of images needs")


# FOLDED applications.cifar10_batches: The batches of CIFAR-10: the python and the binary
_PIXELS = 3 * 32 * 32


def read_python(path):
    """Read `cifar-10-python.tar.gz`, or the folder in it.

    The archive's own checksum must hold. The published checksums of the batches need not:
    other images are loaded as well, and `files` of the result says so. In a folder they
    are all that tells of a damaged pixel.

    Raises:
        ValueError: It is damaged or incomplete, or its files were mixed up.
    """
    contents = _contents(path, suffix="")
    batches = {
        name: read_batch(content, f"{name} in {path.name}") for name, content in contents.items()
    }
    return _cifar10("python version", contents, batches, path)


def read_binary(path):
    """Read `cifar-10-binary.tar.gz`, or the folder in it: a label, then the pixels, and so on.

    What holds for the checksums in `read_python` holds here.

    Raises:
        ValueError: It is damaged or incomplete, or its files were mixed up.
    """
    contents = _contents(path, suffix=".bin")
    batches = {}
    for name, content in contents.items():
        if len(content) % (1 + _PIXELS):
            raise ValueError(
                f"{name} in {path.name} is cut short: expected records of {1 + _PIXELS} bytes, "
                f"received {len(content)} bytes"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
        batches[name] = records[:, 1:], records[:, 0]
    return _cifar10("binary version", contents, batches, path)


def _contents(path, suffix):
    """Return the content of each batch by its name, from a folder or an archive."""
    wanted = [f"{name}{suffix}" for name in BATCHES]
    if path.is_dir():
        found = {name: read_unpacked(path / name) for name in wanted if (path / name).exists()}
    else:
        # Unpacked as a whole: the archive may end before the stream that has the checksum.
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
        raise ValueError(f"{path.name} is incomplete: it holds no {', '.join(missing)}")
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
                f"{one} and {other} in {path.name}: expected other images in each batch, received "
                "the same content twice"
            )
    published = [
        published_sums.is_original(name, content, f"{name} in {path.name}")
        for name, content in contents.items()
    ]
    files = f"original batches, {version}"
    if not all(published):
        files = f"batches that are not the original ones, {version}"
    labels = np.concatenate([labels for _, labels in batches.values()])
    return Cifar10.from_batches(
        files, images.reshape(-1, 32, 32, 3), labels, is_published=all(published)
    )


# FOLDED applications.cifar10_images: Cifar10: its pixels and labels as bytes, and which
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5",
           "test_batch")  # fmt: skip
IMAGES_IN_A_BATCH = 10_000


@dataclasses.dataclass
class Cifar10:
    """CIFAR-10, or the beginning of it, in its original order.

    Attributes:
        files: What it was read from.
        x_train: uint8 of shape `(number, 32, 32, 3)`.
        y_train: Labels of shape `(number,)`.
        x_test: Likewise.
        y_test: Likewise.
        jpeg_train: Positions of training images that are decoded JPEG copies.
        jpeg_test: Positions of such test images.
        is_published: Whether its batches may be the published ones.

    Raises:
        ValueError: An array has not that shape or type, a label is not 0 to 9, or a
            position is not that of an image.
    """

    files: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    jpeg_train: np.ndarray = ()
    jpeg_test: np.ndarray = ()
    is_published: bool = True

    def __post_init__(self):
        for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
            check_labeled_images(self.files, x, y, (32, 32, 3))
        self.jpeg_train = _positions(self.jpeg_train, len(self.x_train), self.files)
        self.jpeg_test = _positions(self.jpeg_test, len(self.x_test), self.files)

    @classmethod
    def from_batches(cls, files, images, labels, jpeg=(), is_published=True):
        """Make it of all images, the batch of test images last.

        Args:
            files: What it was read from.
            images: Array of shape `(number, 32, 32, 3)`.
            labels: Array of shape `(number,)`.
            jpeg: Positions of decoded JPEG copies.
            is_published: Whether the batches may be the published ones.
        """
        train = len(images) - IMAGES_IN_A_BATCH
        jpeg = _positions(jpeg, len(images), files)
        return cls(
            files,
            images[:train],
            labels[:train],
            images[train:],
            labels[train:],
            jpeg[jpeg < train],
            jpeg[jpeg >= train] - train,
            is_published,
        )

    @property
    def is_original(self):
        """Whether nothing is known that makes its images others than the original ones."""
        return self.is_published and not len(self.jpeg_train) + len(self.jpeg_test)

    @property
    def source(self):
        """What it was read from, and how many images are not original."""
        train, test = len(self.jpeg_train), len(self.jpeg_test)
        if not train + test:
            return self.files
        return (
            f"{self.files}; {train + test} of {len(self.x_train) + len(self.x_test)} images "
            f"({train} training, {test} test) are decoded JPEG copies, the others original"
        )

    def first(self, train, test):
        """Return the first training and test images; itself if it has no more."""
        if len(self.x_train) <= train and len(self.x_test) <= test:
            return self
        return Cifar10(
            f"{self.files}, the first {train} training and {test} test images",
            self.x_train[:train],
            self.y_train[:train],
            self.x_test[:test],
            self.y_test[:test],
            self.jpeg_train[self.jpeg_train < train],
            self.jpeg_test[self.jpeg_test < test],
            self.is_published,
        )


def _positions(positions, number, files):
    """Return positions among a number of images, sorted."""
    positions = np.asarray(positions)
    if not positions.size:
        return np.zeros(0, int)
    if (
        positions.ndim != 1
        or positions.dtype.kind not in "iu"
        or positions.min() < 0
        or positions.max() >= number
    ):
        raise ValueError(
            f"{files}: expected positions of JPEG copies to be integers from 0 to {number - 1}, "
            f"received {positions.dtype} positions {positions.tolist()[:5]}"
        )
    return np.sort(positions)


_READERS = {
    "cifar-10-python.tar.gz": read_python,
    "cifar-10-batches-py": read_python,
    "cifar-10-binary.tar.gz": read_binary,
    "cifar-10-batches-bin": read_binary,
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
