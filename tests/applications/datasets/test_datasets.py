"""What `datasets.load` returns and says; the original MNIST and CIFAR-10 where they are at hand."""

import gzip
import hashlib
import logging
import os
import pathlib
import sys

import numpy as np
import pytest

from applications.datasets import cifar10
from applications.datasets import images as datasets
from applications.datasets import published_sums
from tests.applications.datasets import cifar10_archives
from tests.applications.datasets.test_mnist_files import idx_bytes
from tests.applications.datasets.test_mnist_files import write_mnist
from tests.support import BACKEND

DATA = os.environ.get("KERAS_SLASHED_DATA")
needs_data = pytest.mark.skipif(
    not DATA, reason="KERAS_SLASHED_DATA names no folder with the original data"
)
needs_tfds = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="tensorflow-datasets comes with TensorFlow"
)


def to_bytes(x):
    """Return pixels in [0, 255] of those in [-1, 1]."""
    return np.round((x + 1) * 127.5).astype("uint8")


def test_mnist_in_the_unit_range(tmp_path):
    arrays = write_mnist(tmp_path)
    data = datasets.load("mnist", data_dir=tmp_path)
    images = arrays["train-images-idx3-ubyte"]
    np.testing.assert_allclose(data.x_train, images / 127.5 - 1.0, atol=1e-6)
    assert data.x_train.dtype == np.float32
    assert np.abs(data.x_test).max() <= 1.0
    np.testing.assert_array_equal(data.y_test, arrays["t10k-labels-idx1-ubyte"])
    assert data.y_test.dtype == np.int32


def test_the_checksum_sees_every_pixel_and_label(tmp_path):
    arrays = write_mnist(tmp_path)
    before = datasets.load("mnist", data_dir=tmp_path).sha256
    assert before == hashlib.sha256(b"".join(a.tobytes() for a in arrays.values())).hexdigest()
    for name, array in arrays.items():
        changed = array.copy()
        changed.flat[-1] ^= 1
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(changed)))
        after = datasets.load("mnist", data_dir=tmp_path).sha256
        assert after != before
        before = after


@pytest.fixture
def compact_cifar10(tmp_path, monkeypatch):
    """A folder with a small compact file; its images and labels."""
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    images, labels = cifar10_archives.images_and_labels()
    content = cifar10_archives.compact_npz_xz(images, labels, (0, 23))
    (tmp_path / "cifar10.npz.xz").write_bytes(content)
    return tmp_path, images, labels


@pytest.mark.parametrize("dataset", ["cifar10", "cifar10_small"])
def test_cifar10_in_the_unit_range(compact_cifar10, dataset, caplog):
    folder, images, labels = compact_cifar10
    with caplog.at_level(logging.WARNING):
        data = datasets.load(dataset, data_dir=folder)
    np.testing.assert_allclose(data.x_train, images[:20] / 127.5 - 1.0, atol=1e-6)
    assert (data.x_train.dtype, data.y_train.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(data.y_test, labels[20:])
    assert (data.name, data.num_classes) == (dataset, 10)
    # Train pixels, train labels, test pixels, test labels.
    parts = (images[:20], labels[:20], images[20:], labels[20:])
    assert data.sha256 == hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()
    for text in (data.source, caplog.text):
        assert "2 of 24 images (1 training, 1 test) are decoded JPEG copies" in text


def test_others_than_the_original_pixels_are_warned_of(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    files = cifar10_archives.binary_files(*cifar10_archives.images_and_labels())
    archive = cifar10_archives.tar_gz(files, "cifar-10-batches-bin")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive)
    source = "batches that are not the original ones, binary version"
    with caplog.at_level(logging.WARNING):
        assert datasets.load("cifar10", tmp_path).source == source
    assert f"cifar10: {source}" in caplog.text
    caplog.clear()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(published_sums, "SUMS", sums)
    with caplog.at_level(logging.WARNING):
        assert datasets.load("cifar10", tmp_path).source == "original batches, binary version"
    assert not caplog.text


def test_another_mnist_is_warned_of(tmp_path, monkeypatch, caplog):
    write_mnist(tmp_path)
    with caplog.at_level(logging.WARNING):
        data = datasets.load("mnist", data_dir=tmp_path)
    assert data.source == "IDX files that are not the original MNIST"
    assert f"mnist: {data.source}" in caplog.text
    caplog.clear()
    monkeypatch.setattr(datasets, "_MNIST_SHA256", data.sha256)
    with caplog.at_level(logging.WARNING):
        assert datasets.load("mnist", data_dir=tmp_path).source == "original IDX files"
    assert not caplog.text


MNIST_WAYS = ("train-images-idx3-ubyte", "--data-dir", "tensorflow-datasets", "--dataset digits")
CIFAR10_WAYS = ("cifar-10-python.tar.gz", "cifar10.npz.xz", "--data-dir", "tensorflow-datasets")


@pytest.mark.parametrize(
    ("dataset", "ways"),
    [("mnist", MNIST_WAYS), ("cifar10", CIFAR10_WAYS), ("cifar10_small", CIFAR10_WAYS)],
)
@pytest.mark.parametrize("without", ["file", "tensorflow-datasets"])
def test_missing_data_names_the_ways_to_get_it(tmp_path, monkeypatch, dataset, ways, without):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError) as error:
        datasets.load(dataset, data_dir=tmp_path if without == "file" else None)
    assert str(error.value).startswith(f"{dataset} is not at hand: ")
    for part in ways:
        assert part in str(error.value)


def test_unknown_data_set():
    with pytest.raises(ValueError, match=r"'cifar'.*'cifar10'"):
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
    assert data.source == "original IDX files"


@needs_data
@pytest.mark.parametrize(
    "swap",
    [
        ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"),
        ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("t10k", "train"),
    ],
    ids=str,
)
def test_swapped_files_of_the_original_mnist(tmp_path, swap):
    """The last swaps images and labels alike, so that all counts agree."""
    for path in (pathlib.Path(DATA) / "mnist").glob("*.gz"):
        one, other = swap if swap[0] in path.name else swap[::-1]
        (tmp_path / path.name.replace(one, other)).symlink_to(path)
    assert len(list(tmp_path.iterdir())) == 4
    with pytest.raises(ValueError, match=r"not in its place: expected the content of t"):
        datasets.load("mnist", data_dir=tmp_path)


@needs_data
def test_the_small_cifar10():
    data = datasets.load("cifar10_small", data_dir=pathlib.Path(DATA) / "cifar10")
    assert data.x_train.shape == (10000, 32, 32, 3)
    assert data.x_test.shape == (2000, 32, 32, 3)
    # The first labels of the original data_batch_1: frog, truck, truck, deer, automobile.
    assert list(data.y_train[:5]) == [6, 9, 9, 4, 1]
    assert "(20 training, 5 test)" in data.source


@needs_data
@pytest.mark.experiment("torch")
def test_the_compact_cifar10():
    """Checksums of the pixels, as the file's description has them. A good 10 s."""
    data = datasets.load("cifar10", data_dir=pathlib.Path(DATA) / "cifar10")
    assert [hashlib.sha256(to_bytes(x)).hexdigest() for x in (data.x_train, data.x_test)] == [
        "72fe79b77ef8aeaadc0aa195a647536e5e98dea8dcca338306c12ccdded6e892",
        "d6498903e40261cecbc0277b07dc33cbe764618c3ba8f29c0cf66cff517cd5e7",
    ]
    np.testing.assert_array_equal(np.bincount(data.y_train), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(data.y_test), [1000] * 10)
    assert "172 of 60000 images (140 training, 32 test)" in data.source


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    """TensorFlow Datasets, which builds in a folder of its own."""
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "built"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "built"))
    return tfds


def url_info(tfds, path):
    """Return what a builder knows of a file that it downloads, of this one."""
    return tfds.core.download.checksums.compute_url_info(path)


@needs_tfds
@pytest.mark.filterwarnings("ignore")  # its own
def test_tensorflow_datasets_builds_the_same_small_mnist(tfds, tmp_path, monkeypatch):
    """The real builder on files of a few images."""
    from tensorflow_datasets.image_classification import mnist

    arrays = write_mnist(tmp_path)
    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", len(arrays["train-labels-idx1-ubyte"]))
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", len(arrays["t10k-labels-idx1-ubyte"]))
    urls = {f"{mnist._MNIST_URL}{name}.gz": tmp_path / f"{name}.gz" for name in arrays}
    infos = {url: url_info(tfds, path) for url, path in urls.items()}
    monkeypatch.setattr(mnist.MNIST, "url_infos", infos)
    check_same_mnist(tmp_path)


@needs_data
@needs_tfds
@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # its own
@pytest.mark.usefixtures("tfds")
def test_tensorflow_datasets_builds_the_same_mnist():
    """The real builder on the original files, without a network."""
    check_same_mnist(pathlib.Path(DATA) / "mnist")


def check_same_mnist(folder):
    """What TensorFlow Datasets builds of a folder's files is what we read there."""
    built = datasets.load("mnist", tfds_manual_dir=str(folder))
    assert built.source.startswith("tensorflow-datasets 4")
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


@needs_tfds
@pytest.mark.filterwarnings("ignore")  # its own
def test_tensorflow_datasets_builds_the_same_cifar10(tfds, tmp_path, monkeypatch):
    """The real builder on a small archive; it shuffles, and the order is the original again."""
    from tensorflow_datasets.image_classification import cifar

    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    files = cifar10_archives.binary_files(*cifar10_archives.images_and_labels())
    classes = "airplane automobile bird cat deer dog frog horse ship truck"
    files["batches.meta.txt"] = classes.replace(" ", "\n").encode()
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(cifar10_archives.tar_gz(files, "cifar-10-batches-bin"))
    urls = {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": url_info(tfds, path)}
    monkeypatch.setattr(cifar.Cifar10, "url_infos", urls)
    built = datasets.load("cifar10", tfds_manual_dir=str(tmp_path))
    assert built.source.startswith("tensorflow-datasets 4")
    original = datasets.load("cifar10", data_dir=tmp_path)
    assert built.sha256 == original.sha256
    np.testing.assert_array_equal(built.x_train, original.x_train)
