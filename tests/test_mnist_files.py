import gzip
import struct

import numpy as np
import pytest

from applications import mnist_files


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
        (idx_bytes(np.zeros((3, 4), "uint8"))[:-1], "cut short"),
        (gzip.compress(idx_bytes(np.zeros(9, "uint8")))[:-9], "damaged gzip"),
    ],
    ids=["empty", "not IDX", "cut short", "cut gzip"],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        mnist_files.read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz"):
        mnist_files.read(tmp_path)
