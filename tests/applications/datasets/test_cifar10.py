"""Every file CIFAR-10 comes in, small and synthetic, and damaged ones."""

import hashlib
import pickle
import re
import struct
import tracemalloc

import numpy as np
import pytest

from applications.datasets import cifar10
from applications.datasets import published_sums
from applications.datasets.cifar10 import read_batch
from tests.applications.datasets import cifar10_archives
from tests.damage import flipped_bits
from tests.damage import outcomes

IMAGES, LABELS = cifar10_archives.images_and_labels()
PYTHON = cifar10_archives.python_files(IMAGES, LABELS)
BINARY = cifar10_archives.binary_files(IMAGES, LABELS)
# As if these had been published.
SUMS = {name: hashlib.md5(content).hexdigest() for name, content in PYTHON.items()} | {
    name: hashlib.sha1(content).hexdigest() for name, content in BINARY.items()
}
# As in the original archive, whose batches are in no order.
ORDER = ("data_batch_4", "test_batch", "data_batch_3", "data_batch_2", "data_batch_5",
         "data_batch_1")  # fmt: skip


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)


def write_python(folder):
    content = cifar10_archives.tar_gz(PYTHON, "cifar-10-batches-py", ORDER)
    (folder / "cifar-10-python.tar.gz").write_bytes(content)


def write_binary(folder):
    content = cifar10_archives.tar_gz(BINARY, "./cifar-10-batches-bin")
    (folder / "cifar-10-binary.tar.gz").write_bytes(content)


def write_python_folder(folder):
    (folder / "cifar-10-batches-py").mkdir()
    for name, content in PYTHON.items():
        (folder / "cifar-10-batches-py" / name).write_bytes(content)


def write_binary_folder(folder):
    (folder / "cifar-10-batches-bin").mkdir()
    for name, content in BINARY.items():
        (folder / "cifar-10-batches-bin" / name).write_bytes(content)


WRITERS = (write_python, write_python_folder, write_binary, write_binary_folder)


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_holds_the_same_images(tmp_path, write, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(published_sums, "SUMS", SUMS)
    source, is_original, *arrays = cifar10.read(tmp_path)
    for array, expected in zip(arrays, (IMAGES[:20], LABELS[:20], IMAGES[20:], LABELS[20:])):
        np.testing.assert_array_equal(array, expected)
    assert source.startswith("original batches")
    assert is_original


def test_originals_come_first(tmp_path):
    expected = (
        (write_binary_folder, "binary version"),
        (write_binary, "binary version"),
        (write_python_folder, "python version"),
        (write_python, "python version"),
    )
    for write, source in expected:
        write(tmp_path)
        assert source in cifar10.read(tmp_path)[0]


def test_an_empty_folder(tmp_path):
    expected = r"cifar-10-python\.tar\.gz.*cifar-10-batches-bin"
    with pytest.raises(FileNotFoundError, match=expected):
        cifar10.read(tmp_path)


def without(files, name):
    return {key: value for key, value in files.items() if key != name}


def packed(files):
    return cifar10_archives.tar_gz(files, "cifar-10")


SHORT = cifar10_archives.python_files(IMAGES, LABELS) | {
    "data_batch_2": cifar10_archives.pickled_batch(IMAGES[:3].reshape(3, -1), LABELS[:3])
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cifar-10-python.tar.gz", b"nothing", "damaged archive"),
        ("cifar-10-python.tar.gz", packed(PYTHON)[:-2000], "damaged gzip"),
        ("cifar-10-python.tar.gz", packed(without(PYTHON, "test_batch")), "Missing: test_batch"),
        ("cifar-10-python.tar.gz", packed(SHORT), "data_batch_2 in .*expected 4 images"),
        (
            "cifar-10-python.tar.gz",
            packed(PYTHON | {"data_batch_3": PYTHON["data_batch_3"][:-5000]}),
            "data_batch_3 in .* damaged",
        ),
        (
            "cifar-10-binary.tar.gz",
            packed(BINARY | {"data_batch_3.bin": BINARY["data_batch_3.bin"][:-1]}),
            r"data_batch_3\.bin in .* is truncated",
        ),
        (
            "cifar-10-binary.tar.gz",
            packed(BINARY | {"data_batch_3.bin": BINARY["data_batch_3.bin"][:-3073]}),
            r"data_batch_3\.bin in .*expected 4 images",
        ),
        ("cifar-10-binary.tar.gz", packed(PYTHON), r"Missing: data_batch_1\.bin, data_batch_2"),
        (
            "cifar-10-binary.tar.gz",
            packed(cifar10_archives.binary_files(IMAGES, LABELS + 5)),
            "expected integer labels from 0 to 9",
        ),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        cifar10.read(tmp_path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_batch_pickled_by_python_3(protocol):
    """Pickle with NumPy's own code, which names another module since version 2."""
    rows, labels = IMAGES.reshape(24, -1), LABELS
    content = pickle.dumps({b"data": rows, b"labels": labels.tolist()}, protocol=protocol)
    if protocol == 2:
        # Python 3 has bytes go through a function there, which Python 2 did not need.
        with pytest.raises(ValueError, match=r"it uses _codecs\.encode"):
            read_batch(content, "data_batch_1")
        return
    pixels, read_labels = read_batch(content, "data_batch_1")
    np.testing.assert_array_equal(pixels, rows)
    np.testing.assert_array_equal(read_labels, labels)


def test_a_damaged_number_takes_no_memory():
    """Such as that of a place in the pickle's memory."""
    content = cifar10_archives.pickled_batch(IMAGES.reshape(24, -1), LABELS)
    content = content.replace(b"}(", b"}r" + struct.pack("<I", 2**24) + b"(", 1)
    tracemalloc.start()
    try:
        read_batch(content, "data_batch_1")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


class Hostile:
    """Its pickle runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_runs_nothing(tmp_path):
    path = str(tmp_path / "written")
    content = pickle.dumps({b"data": Hostile(path), b"labels": []})
    pickle.loads(content)[b"data"].close()  # it would
    (tmp_path / "written").unlink()
    with pytest.raises(ValueError, match=r"test_batch is not a pickled batch.*it uses"):
        read_batch(content, "test_batch")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "object"])
def test_pixels_of_another_type(dtype):
    content = pickle.dumps({b"data": np.zeros((2, 3072), dtype), b"labels": [0, 1]}, protocol=4)
    with pytest.raises(ValueError, match="data_batch_1 is not"):
        read_batch(content, "data_batch_1")


def everything(folder):
    """Return all that is read from a folder, to be compared."""
    source, is_original, *arrays = cifar10.read(folder)
    return source, is_original, [(array.shape, array.tobytes()) for array in arrays]


@pytest.mark.parametrize("write", [write_python, write_binary])
def test_a_flipped_bit_is_told_or_harmless(tmp_path, write):
    """Damage a packed file. Damage to names and times, which nobody reads, is harmless."""
    write(tmp_path)
    (path,) = tmp_path.iterdir()
    contents = flipped_bits(path.read_bytes(), number=50)
    refused, harmless = outcomes(lambda: everything(tmp_path), path, contents, everything(tmp_path))
    assert refused > 50
    assert refused > harmless


@pytest.mark.parametrize("write", [write_python_folder, write_binary_folder])
def test_a_flipped_bit_of_an_unpacked_batch_is_no_original(tmp_path, write, monkeypatch):
    """Damage a pixel that only the published checksum covers."""
    monkeypatch.setattr(published_sums, "SUMS", SUMS)
    write(tmp_path)
    assert cifar10.read(tmp_path)[1]
    path = next(tmp_path.glob("*/data_batch_3*"))
    contents = flipped_bits(path.read_bytes(), number=50)
    outcomes(lambda: cifar10.read(tmp_path)[1], path, contents, expected=False)
    assert "not the original" in cifar10.read(tmp_path)[0]


def swapped(files, one, other):
    return files | {one: files[other], other: files[one]}


def with_label(label):
    labels = LABELS.astype(int)
    labels[9] = label
    return labels


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            BINARY | {"test_batch.bin": BINARY["data_batch_2.bin"]},
            "data_batch_2.bin and test_batch",
        ),
        (
            PYTHON | {"data_batch_5": PYTHON["data_batch_1"]},
            "data_batch_1 and data_batch_5 in .*tw",
        ),
        (
            swapped(BINARY, "test_batch.bin", "data_batch_1.bin"),
            r"data_batch_1\.bin in .* the wrong content.*received that of test_batch\.bin",
        ),
        (swapped(PYTHON, "test_batch", "data_batch_1"), "received that of test_batch"),
        (
            cifar10_archives.binary_files(IMAGES, with_label(200).astype("uint8")),
            "data_batch_3.bin in .*integer labels from 0 to 9, received 1 others, such as 200",
        ),
        (
            cifar10_archives.python_files(IMAGES, with_label(200)),
            "data_batch_3 in .*integer labels from 0 to 9, received 1 others, such as 200",
        ),
        (dict.fromkeys(BINARY, b""), "data_batch_1.bin in .*expected 4 images"),
    ],
    ids=[
        "doubled",
        "doubled python",
        "swapped",
        "swapped python",
        "label",
        "label python",
        "empty",
    ],
)
def test_mixed_up_batches(tmp_path, monkeypatch, files, message):
    monkeypatch.setattr(published_sums, "SUMS", SUMS)
    version = "binary" if "test_batch.bin" in files else "python"
    (tmp_path / f"cifar-10-{version}.tar.gz").write_bytes(packed(files))
    with pytest.raises(ValueError, match=f"cifar-10-{version}.tar.gz") as error:
        cifar10.read(tmp_path)
    assert re.search(message, str(error.value)), error.value


@pytest.mark.parametrize("labels", [[1.0, 2.0], [True, False], ["1", "2"], [1, 2**70], [[1], [2]]])
def test_labels_of_another_type(tmp_path, labels, monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", 2)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for index, name in enumerate(PYTHON):
        batch = {b"data": np.full((2, 3072), index, "uint8"), b"labels": labels}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=4))
    with pytest.raises(ValueError, match=r"data_batch_1 in cifar-10-batches-py.*labels"):
        cifar10.read(tmp_path)


def test_folders_in_place_of_files(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    path.mkdir()
    with pytest.raises(ValueError, match=r"is incomplete\. Missing: data_batch_1"):
        cifar10.read(tmp_path)
    path.rmdir()
    write_binary_folder(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    (tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin").mkdir()
    with pytest.raises(ValueError, match=r"data_batch_4\.bin is a folder"):
        cifar10.read(tmp_path)
