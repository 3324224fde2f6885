"""Other contents in place of each data file: one kind of error, which names the file."""

import gzip
import lzma
import random
import struct

import numpy as np
import pytest

from applications.datasets import cifar10
from applications.datasets import images
from applications.datasets import texts
from applications.datasets.mnist import FILES
from tests.applications.datasets import cifar10_archives
from tests.damage import outcomes


def idx_file(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype("uint8").tobytes()


def write_mnist(folder):
    rng = np.random.default_rng(0)
    arrays = []
    for number in (12, 6):
        arrays += [rng.integers(0, 256, (number, 28, 28)), rng.integers(0, 10, number)]
    for name, array in zip(FILES, arrays):
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_file(array)))
    return lambda: images.load("mnist", folder).sha256


def write_cifar10(folder, files, name):
    (folder / f"{name}.tar.gz").write_bytes(cifar10_archives.tar_gz(files, name))
    return lambda: images.load("cifar10", folder).sha256


def write_python(folder):
    files = cifar10_archives.python_files(*cifar10_archives.images_and_labels())
    return write_cifar10(folder, files, "cifar-10-python")


def write_binary(folder):
    files = cifar10_archives.binary_files(*cifar10_archives.images_and_labels())
    return write_cifar10(folder, files, "cifar-10-binary")


def write_ptb(folder):
    (folder / "ptb").mkdir()
    for part in texts.PARTS:
        content = f"a b {part}\n".encode() * 9
        (folder / "ptb" / f"ptb.{part}.txt.xz").write_bytes(lzma.compress(content))
    return lambda: texts.load("ptb", folder).sha256


def write_yahoo(folder):
    (folder / "yahoo").mkdir()
    words = "<pad> 0\n<unk> 1\n<s> 2\n</s> 3\nx 4\n"
    (folder / "yahoo" / "yahoo.dict.gz").write_bytes(gzip.compress(words.encode()))
    for part in ("valid", "test"):
        content = f"x {part}\n".encode() * 9
        (folder / "yahoo" / f"yahoo.{part}.txt.gz").write_bytes(gzip.compress(content))
    return lambda: texts.load("yahoo", folder).sha256


def other_contents(content):
    rng = random.Random(0)
    yield from (b"", rng.randbytes(1), rng.randbytes(8), rng.randbytes(1000))
    # Errors of gzip, xz, zip, NumPy and pickle.
    for begin in ("1f8b", "1f8b08", "fd377a585a00", "504b0304", "934e554d5059", "8004"):
        yield bytes.fromhex(begin) + rng.randbytes(100)
    for pack in (gzip.compress, lzma.compress):
        yield from (pack(b""), pack(rng.randbytes(100)), pack(content))
    for _ in range(10):
        yield content[: rng.randrange(len(content))]
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] = rng.randrange(256)
        yield bytes(damaged)


@pytest.mark.parametrize("write", [write_mnist, write_python, write_binary, write_ptb, write_yahoo])
def test_another_content_or_a_folder(tmp_path, write, monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    read = write(tmp_path)
    expected = read()
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        refused, _ = outcomes(read, path, other_contents(content), expected)
        assert refused >= 10
        path.unlink()
        path.mkdir()
        with pytest.raises(ValueError, match=f"{path.name} is (a folder|incomplete)"):
            read()
        path.rmdir()
        path.write_bytes(content)
    assert read() == expected
