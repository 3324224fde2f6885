import gzip
import os
import pathlib
import struct
import sys

import numpy as np
import pytest

from applications import datasets
from tests.support import BACKEND

DATA = os.environ.get("KERAS_SLASHED_DATA")
needs_data = pytest.mark.skipif(
    not DATA, reason="KERAS_SLASHED_DATA names no folder with the original data"
)


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def small_mnist(tmp_path):
    """A folder with MNIST's four files, of a few random images; and the arrays."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (30, 28, 28), dtype="uint8"),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 30, dtype="uint8"),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), dtype="uint8"),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 20, dtype="uint8"),
    }
    for name, array in arrays.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return tmp_path, arrays


def test_idx_files(small_mnist):
    folder, arrays = small_mnist
    data = datasets.load("mnist", data_dir=folder)
    images = arrays["train-images-idx3-ubyte"]
    np.testing.assert_allclose(data.x_train, images / 127.5 - 1.0, atol=1e-6)
    assert data.x_train.dtype == np.float32
    assert np.abs(data.x_test).max() <= 1.0
    np.testing.assert_array_equal(data.y_test, arrays["t10k-labels-idx1-ubyte"])


def test_unzipped_files_are_the_same_data(small_mnist):
    folder, _ = small_mnist
    zipped = datasets.load("mnist", data_dir=folder)
    for path in folder.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert datasets.load("mnist", data_dir=folder).sha256 == zipped.sha256


def test_the_checksum_sees_every_pixel_and_label(small_mnist):
    folder, arrays = small_mnist
    before = datasets.load("mnist", data_dir=folder).sha256
    for name, array in arrays.items():
        changed = array.copy()
        changed.flat[-1] ^= 1
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(changed)))
        after = datasets.load("mnist", data_dir=folder).sha256
        assert after != before
        before = after


def test_missing_file_names_three_ways(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("mnist", data_dir=tmp_path)
    for part in (
        "train-images-idx3-ubyte",
        "--data-dir",
        "tensorflow-datasets",
        "--dataset digits",
    ):
        assert part in str(error.value)


def test_missing_tensorflow_datasets_names_three_ways(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError, match="--dataset digits"):
        datasets.load("mnist")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 not an IDX file", "50 4b 03"),
        (idx_bytes(np.zeros((3, 4), "uint8"))[:-1], "cut short"),
        (gzip.compress(idx_bytes(np.zeros(9, "uint8")))[:-9], "damaged gzip"),
    ],
    ids=["empty", "not IDX", "cut short", "cut gzip"],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        datasets.read_idx(path)


def test_unknown_data_set():
    with pytest.raises(ValueError, match="'cifar'"):
        datasets.load("cifar")


def test_digits():
    data = datasets.load("digits")
    assert data.x_train.shape == (1437, 8, 8)
    assert len(data.x_test) == len(data.y_test) == 360
    assert data.x_train.min() == -1.0
    assert data.x_train.max() == 1.0
    assert set(data.y_test) == set(range(10))


@needs_data
def test_the_original_mnist():
    data = datasets.load("mnist", data_dir=pathlib.Path(DATA) / "mnist")
    assert data.x_train.shape == (60000, 28, 28)
    assert data.x_test.shape == (10000, 28, 28)
    # The published mean and standard deviation of the training pixels.
    assert data.x_train.mean() == pytest.approx(2 * 0.1307 - 1, abs=1e-4)
    assert data.x_train.std() == pytest.approx(2 * 0.3081, abs=1e-4)
    assert list(data.y_train[:5]) == [5, 0, 4, 1, 9]


@needs_data
@pytest.mark.skipif(BACKEND != "tensorflow", reason="tensorflow-datasets comes with TensorFlow")
@pytest.mark.filterwarnings("ignore")  # its own
def test_tensorflow_datasets_builds_the_same_mnist(tmp_path, monkeypatch):
    """The real builder on the original files, without a network."""
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    folder = pathlib.Path(DATA) / "mnist"
    built = datasets.load("mnist", tfds_manual_dir=str(folder))
    original = datasets.load("mnist", data_dir=folder)
    # TFDS shuffles: compare as sets, by the sum over pixels for each label.
    for split in ("train", "test"):
        x, y = getattr(built, f"x_{split}"), getattr(built, f"y_{split}")
        x0, y0 = getattr(original, f"x_{split}"), getattr(original, f"y_{split}")
        assert x.shape == x0.shape
        np.testing.assert_array_equal(np.bincount(y), np.bincount(y0))
        for label in range(10):
            sums = [np.sort(a.sum((1, 2))) for a in (x[y == label], x0[y0 == label])]
            np.testing.assert_allclose(*sums, atol=1e-2)
