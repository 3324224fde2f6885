"""Results and messages of `images.load`, with the original MNIST and CIFAR-10 if available."""

import gzip
import hashlib
import logging
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from applications.datasets import cifar10
from applications.datasets import images
from applications.datasets import published_sums
from tests.applications.datasets import cifar10_archives
from tests.applications.datasets.test_mnist import idx_bytes
from tests.applications.datasets.test_mnist import write_mnist
from tests.support import BACKEND
from tests.support import DATA
from tests.support import needs_data

needs_tfds = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="tensorflow-datasets comes with TensorFlow"
)


def test_mnist_in_the_unit_range(tmp_path):
    arrays = write_mnist(tmp_path)
    data = images.load("mnist", data_dir=tmp_path)
    expected = arrays["train-images-idx3-ubyte"]
    np.testing.assert_allclose(data.x_train, expected / 127.5 - 1.0, atol=1e-6)
    assert data.x_train.dtype == np.float32
    assert np.abs(data.x_test).max() <= 1.0
    np.testing.assert_array_equal(data.y_test, arrays["t10k-labels-idx1-ubyte"])
    assert data.y_test.dtype == np.int32


def test_the_checksum_sees_every_pixel_and_label(tmp_path):
    arrays = write_mnist(tmp_path)
    before = images.load("mnist", data_dir=tmp_path).sha256
    assert before == hashlib.sha256(b"".join(a.tobytes() for a in arrays.values())).hexdigest()
    for name, array in arrays.items():
        changed = array.copy()
        changed.flat[-1] ^= 1
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(changed)))
        after = images.load("mnist", data_dir=tmp_path).sha256
        assert after != before
        before = after


def write_cifar10(folder):
    """Write a small archive; return its images, its labels and its files."""
    pixels, labels = cifar10_archives.images_and_labels()
    files = cifar10_archives.binary_files(pixels, labels)
    archive = cifar10_archives.tar_gz(files, "cifar-10-batches-bin")
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive)
    return pixels, labels, files


def joined(*arrays):
    """Return the checksum of train pixels, train labels, test pixels, test labels."""
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_cifar10_in_the_unit_range(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    pixels, labels, _ = write_cifar10(tmp_path)
    data = images.load("cifar10", data_dir=tmp_path)
    np.testing.assert_allclose(data.x_train, pixels[:20] / 127.5 - 1.0, atol=1e-6)
    assert (data.x_train.dtype, data.y_train.dtype) == (np.float32, np.int32)
    np.testing.assert_array_equal(data.y_test, labels[20:])
    assert (data.name, data.num_classes) == ("cifar10", 10)
    assert data.sha256 == joined(pixels[:20], labels[:20], pixels[20:], labels[20:])


def test_the_first_images_of_any_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    pixels, labels, _ = write_cifar10(tmp_path)
    data = images.load("cifar10", data_dir=tmp_path, train_images=7, test_images=2)
    assert data.sha256 == joined(pixels[:7], labels[:7], pixels[20:22], labels[20:22])
    assert (len(data.x_train), len(data.y_train), len(data.x_test), len(data.y_test)) == (
        7,
        7,
        2,
        2,
    )
    assert data.source.endswith("binary version, the first 7 training and 2 test images")
    whole, cut = images.load("digits"), images.load("digits", train_images=5)
    np.testing.assert_array_equal(cut.x_train, whole.x_train[:5])
    np.testing.assert_array_equal(cut.x_test, whole.x_test)
    assert cut.source.endswith("digits, the first 5 training and 360 test images")
    assert cut.sha256 != whole.sha256


@pytest.mark.parametrize("options", [{"train_images": 1438}, {"test_images": 361}])
def test_more_images_than_there_are(options):
    with pytest.raises(ValueError, match=r"digits has (1437 training|360 test) images"):
        images.load("digits", **options)


def test_others_than_the_original_pixels_are_warned_of(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", cifar10_archives.SIZE)
    _, _, files = write_cifar10(tmp_path)
    source = "batches that are not the original ones, binary version"
    with caplog.at_level(logging.WARNING):
        assert images.load("cifar10", tmp_path).source == source
    assert f"cifar10: {source}" in caplog.text
    caplog.clear()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(published_sums, "SUMS", sums)
    with caplog.at_level(logging.WARNING):
        assert images.load("cifar10", tmp_path).source == "original batches, binary version"
    assert not caplog.text


def test_another_mnist_is_warned_of(tmp_path, monkeypatch, caplog):
    write_mnist(tmp_path)
    with caplog.at_level(logging.WARNING):
        data = images.load("mnist", data_dir=tmp_path)
    assert data.source == "IDX files that are not the original MNIST"
    assert f"mnist: {data.source}" in caplog.text
    caplog.clear()
    monkeypatch.setattr(images, "_MNIST_SHA256", data.sha256)
    with caplog.at_level(logging.WARNING):
        assert images.load("mnist", data_dir=tmp_path).source == "original IDX files"
    assert not caplog.text


MNIST_WAYS = ("train-images-idx3-ubyte", "--data-dir", "tensorflow-datasets", "--dataset digits")
CIFAR10_WAYS = (
    "cifar-10-python.tar.gz",
    "cifar-10-binary.tar.gz",
    "--data-dir",
    "tensorflow-datasets",
)


@pytest.mark.parametrize(
    ("dataset", "ways"),
    [("mnist", MNIST_WAYS), ("cifar10", CIFAR10_WAYS)],
)
@pytest.mark.parametrize("without", ["file", "tensorflow-datasets"])
def test_missing_data_names_the_ways_to_get_it(tmp_path, monkeypatch, dataset, ways, without):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError) as error:
        images.load(dataset, data_dir=tmp_path if without == "file" else None)
    assert str(error.value).startswith(f"{dataset} is not available: ")
    for part in ways:
        assert part in str(error.value)


def test_unknown_data_set():
    with pytest.raises(ValueError, match=r"'cifar'.*'cifar10'"):
        images.load("cifar")


def test_digits():
    data = images.load("digits")
    assert data.x_train.shape == (1437, 8, 8)
    assert len(data.x_test) == len(data.y_test) == 360
    assert data.x_train.min() == -1.0
    assert data.x_train.max() == 1.0
    assert set(data.y_test) == set(range(10))


@needs_data
def test_the_original_mnist():
    data = images.load("mnist", data_dir=pathlib.Path(DATA) / "mnist")
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
    with pytest.raises(ValueError, match=r"has the wrong content: expected that of t"):
        images.load("mnist", data_dir=tmp_path)


@needs_data
@pytest.mark.experiment("torch")
def test_a_whole_cifar10(tmp_path):
    """Written by the script next to the data where the original archive is not there."""
    folder = pathlib.Path(DATA)
    if (folder / "cifar10" / "cifar-10-binary.tar.gz").exists():
        folder /= "cifar10"
    else:
        subprocess.run([sys.executable, folder / "expand_cifar10.py", tmp_path], check=True)
        folder = tmp_path
    data = images.load("cifar10", data_dir=folder)
    assert data.x_train.shape == (50000, 32, 32, 3)
    assert data.x_test.shape == (10000, 32, 32, 3)
    # The first labels of the original data_batch_1: frog, truck, truck, deer, automobile.
    assert list(data.y_train[:5]) == [6, 9, 9, 4, 1]
    np.testing.assert_array_equal(np.bincount(data.y_train), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(data.y_test), [1000] * 10)
    # The published mean of the training pixels.
    published = [0.4914, 0.4822, 0.4465]
    np.testing.assert_allclose(
        (data.x_train.mean((0, 1, 2), dtype="float64") + 1) / 2, published, atol=1e-4
    )


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


@pytest.mark.experiment("tensorflow")
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
    """TensorFlow Datasets builds the same data from a folder's files as we read there."""
    built = images.load("mnist", tfds_manual_dir=str(folder))
    assert built.source.startswith("tensorflow-datasets 4")
    original = images.load("mnist", data_dir=folder)
    # TFDS shuffles: compare as sets, by the sum over pixels for each label.
    for split in ("train", "test"):
        x, y = getattr(built, f"x_{split}"), getattr(built, f"y_{split}")
        x0, y0 = getattr(original, f"x_{split}"), getattr(original, f"y_{split}")
        assert x.shape == x0.shape
        np.testing.assert_array_equal(np.bincount(y), np.bincount(y0))
        for label in range(10):
            sums = [np.sort(a.sum((1, 2))) for a in (x[y == label], x0[y0 == label])]
            np.testing.assert_allclose(*sums, atol=1e-2)


@pytest.mark.experiment("tensorflow")
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
    built = images.load("cifar10", tfds_manual_dir=str(tmp_path))
    assert built.source.startswith("tensorflow-datasets 4")
    original = images.load("cifar10", data_dir=tmp_path)
    assert built.sha256 == original.sha256
    np.testing.assert_array_equal(built.x_train, original.x_train)
