import gzip
import hashlib
import shutil
import struct

import numpy as np
import pytest

from applications import classifier
from applications.datasets import mnist as mnist_files
from applications.datasets import published_sums
from tests.damage import flipped_bits
from tests.damage import outcomes

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = mnist_files.FILES


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_mnist(folder):
    """Write MNIST's four files, of a few random images; return their arrays by name."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 28, 28), dtype="uint8"),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 30, dtype="uint8"),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), dtype="uint8"),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 20, dtype="uint8"),
    }
    for name, array in arrays.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return arrays


@pytest.mark.parametrize("zipped", [True, False])
def test_the_four_files(tmp_path, zipped):
    arrays = write_mnist(tmp_path)
    if not zipped:
        for path in tmp_path.glob("*.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    for computed, expected in zip(mnist_files.read(tmp_path), arrays.values()):
        np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 not an IDX file", "50 4b 03"),
        (idx_bytes(np.zeros((3, 4), "uint8"))[:-1], "truncated"),
        (gzip.compress(idx_bytes(np.zeros(9, "uint8")))[:-9], "damaged gzip"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff", "damaged gzip"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "header says shape .4294967295, 4294967295.*0 bytes"),
        # 2^66 entries, which are 0 in 64 bits, and as many bytes as that.
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2**31, 2**31, 16), "truncated or too long"),
        (b"\x00\x00\x08\xc8" + b"\x00\x00\x00\x01" * 200 + b"\x07", "1 to 3 axes, received 200"),
        (b"\x00\x00\x08\x00\x07", "1 to 3 axes, received 0"),
        (b"\x00\x00\x08\x03\x00\x00", "truncated"),
    ],
    ids=["empty", "not IDX", "cut short", "cut gzip", "no deflate", "2^64 entries", "2^66 entries",
         "200 axes", "no axis", "cut header"],
)  # fmt: skip
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        mnist_files.read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz"):
        mnist_files.read(tmp_path)


@pytest.fixture
def folder(tmp_path):
    """MNIST's four files, small."""
    write_mnist(tmp_path)
    return tmp_path


def refused(folder, message):
    with pytest.raises(ValueError, match=message):
        mnist_files.read(folder)


def swap(folder, one, other):
    one, other = folder / f"{one}.gz", folder / f"{other}.gz"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (TRAIN_IMAGES, TEST_IMAGES, r"train-images.*train-labels.*shape \(20, 28, 28\).*\(30,\)"),
        (TRAIN_LABELS, TEST_LABELS, r"train-images.*train-labels.*shape \(30, 28, 28\).*\(20,\)"),
        (TRAIN_IMAGES, TRAIN_LABELS, r"train-images.*train-labels.*images of shape \(30,\)"),
        (TEST_IMAGES, TEST_LABELS, r"t10k-images.*t10k-labels.*images of shape \(20,\)"),
        (TRAIN_IMAGES, TEST_LABELS, r"train-images.*train-labels.*images of shape \(20,\)"),
    ],
)
def test_swapped_files(folder, one, other, message):
    swap(folder, one, other)
    refused(folder, message)


@pytest.mark.parametrize("name", mnist_files.FILES)
@pytest.mark.parametrize("source", mnist_files.FILES)
def test_a_file_twice(folder, name, source):
    if name != source:
        shutil.copy(folder / f"{source}.gz", folder / f"{name}.gz")
        refused(folder, f"{name.split('-')[0]}-.*expected")


def test_training_files_as_test_files(folder):
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        shutil.copy(folder / f"train-{kind}.gz", folder / f"t10k-{kind}.gz")
    refused(folder, "train-images.*t10k-images.*the same 30 images twice")


def test_published_files_have_their_own_names(folder, monkeypatch):
    """Swapped in pairs, all counts agree: the published content tells."""
    sums = {
        name: hashlib.md5(gzip.decompress((folder / f"{name}.gz").read_bytes())).hexdigest()
        for name in mnist_files.FILES
    }
    swap(folder, TRAIN_IMAGES, TEST_IMAGES)
    swap(folder, TRAIN_LABELS, TEST_LABELS)
    assert len(mnist_files.read(folder)[0]) == 20  # nothing is known about other content
    monkeypatch.setattr(published_sums, "SUMS", sums)
    refused(folder, "train-images.*the wrong content.*train-images.*received that of t10k-images")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (TEST_LABELS, np.full(20, 200, "uint8"), "t10k.*labels from 0 to 9, received 20 .*200"),
        (TRAIN_IMAGES, np.zeros((30, 56, 14), "uint8"), r"train.*\(28, 28\).*\(30, 56, 14\)"),
        (TRAIN_IMAGES, np.zeros((30, 784), "uint8"), r"train.*\(28, 28\).*\(30, 784\)"),
        (TRAIN_LABELS, np.zeros((30, 1), "uint8"), r"train.*labels of shape \(30, 1\)"),
        (TRAIN_LABELS, np.zeros(29, "uint8"), r"train.*a label for each.*\(29,\)"),
    ],
)
def test_files_of_another_content(folder, name, array, message):
    (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    refused(folder, message)


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_no_images(folder, part):
    images, labels = np.zeros((0, 28, 28), "uint8"), np.zeros(0, "uint8")
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    refused(folder, rf"{part}-images.*at least one.*\(0, 28, 28\)")


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TEST_LABELS])
def test_a_flipped_bit_is_told_or_harmless(folder, name):
    def read():
        return [array.tobytes() for array in mnist_files.read(folder)]

    path = folder / f"{name}.gz"
    content, expected = path.read_bytes(), read()
    damaged = flipped_bits(content, number=min(200, 8 * len(content)))
    told, harmless = outcomes(read, path, damaged, expected)
    assert told > harmless
    # In a plain file the header alone is checked.
    path.unlink()
    path = folder / name
    content = gzip.decompress(content)
    path.write_bytes(content)
    damaged = list(flipped_bits(content[: 4 + 4 * content[3]], number=0))
    damaged = [header + content[len(header) :] for header in damaged]
    assert outcomes(read, path, damaged, expected) == (len(damaged), 0)


def test_a_folder_in_place_of_a_file(folder):
    (folder / f"{TEST_LABELS}.gz").unlink()
    (folder / f"{TEST_LABELS}.gz").mkdir()
    refused(folder, "t10k-labels.*is a folder. Expected a file")


def test_the_command_ends_with_the_message(folder, tmp_path):
    swap(folder, TRAIN_LABELS, TEST_LABELS)
    output = tmp_path / "output"
    with pytest.raises(
        SystemExit, match=r"train-labels-idx1-ubyte\.gz: expected at least one uint8 image"
    ):
        classifier.main(["--data-dir", str(folder), "--output", str(output), "--epochs", "1"])
    assert not output.exists()
