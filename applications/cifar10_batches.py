"""The batches of CIFAR-10: the python and the binary version, packed or not."""

import io
import itertools
import pathlib
import tarfile

import numpy as np

from applications import cifar10_images
from applications import cifar10_pickle
from applications import published_sums
from applications.image_data import check_labeled_images
from applications.unpacking import read_unpacked

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
        name: cifar10_pickle.read_batch(content, f"{name} in {path.name}")
        for name, content in contents.items()
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
    wanted = [f"{name}{suffix}" for name in cifar10_images.BATCHES]
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
    size = cifar10_images.IMAGES_IN_A_BATCH
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
    return cifar10_images.Cifar10.from_batches(
        files, images.reshape(-1, 32, 32, 3), labels, is_published=all(published)
    )
