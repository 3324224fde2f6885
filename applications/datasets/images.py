"""Image data for the experiments: MNIST, CIFAR-10 and scikit-learn's digits."""

import logging

import numpy as np

from applications import extras
from applications.datasets import cifar10
from applications.datasets import mnist
from applications.datasets.image_data import ImageData
from applications.datasets.image_data import checksum

DATASETS = ("mnist", "digits", "cifar10")
_MNIST_SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"

_TFDS = """  2. without --data-dir: tensorflow-datasets downloads it, or reads {files}
     from --tfds-manual-dir DIR (a download needs a network, and both need
     `pip install ".[applications,tensorflow]"`)"""

_MNIST_WAYS = f"""There are three ways to get it:
  1. --data-dir DIR, a folder with the four original files ({", ".join(mnist.FILES)},
     with or without .gz)
{_TFDS.format(files="the four original .gz files")}
  3. --dataset digits, scikit-learn's small 8x8 digits, which need no file"""

_CIFAR10_WAYS = f"""There are two ways to get it:
  1. --data-dir DIR, a folder with the original cifar-10-python.tar.gz or
     cifar-10-binary.tar.gz (or unpacked: cifar-10-batches-py, cifar-10-batches-bin)
{_TFDS.format(files="the original cifar-10-binary.tar.gz")}"""


def load(dataset="mnist", data_dir=None, tfds_manual_dir=None, train_images=None, test_images=None):
    """Load a data set.

    The images of CIFAR-10 always have their original order. The function also loads files of
    the same format with other images than the original ones. In that case `source` and a line
    in the log say so.

    Args:
        dataset: String. "mnist", "cifar10", or "digits" for scikit-learn's bundled 8x8 digits.
        data_dir: String, path or None. Folder with the original files: for MNIST the four IDX
            files, gzipped or not, and for CIFAR-10 those of
            `applications.datasets.cifar10.read`. With None the data comes from TensorFlow
            Datasets.
        tfds_manual_dir: String, path or None. Folder with original files from which TensorFlow
            Datasets builds its data without a network: MNIST's four .gz files, or
            cifar-10-binary.tar.gz.
        train_images: Integer or None. Number of first training images to take, None for all.
        test_images: Integer or None. Number of first test images to take, None for all.

    Returns:
        `ImageData`.

    Raises:
        FileNotFoundError: If the data is not available. The message lists the ways to get it.
        ValueError: If the data set is unknown, if it has fewer images than should be taken, or
            if a file is damaged or has the wrong content.
    """
    if dataset not in DATASETS:
        expected = ", ".join(repr(name) for name in DATASETS)
        raise ValueError(f"Unknown data set {dataset!r}. Expected one of {expected}.")
    try:
        source, arrays, largest = _READERS[dataset](data_dir, tfds_manual_dir)
    except FileNotFoundError as error:
        ways = _MNIST_WAYS if dataset == "mnist" else _CIFAR10_WAYS
        raise FileNotFoundError(f"{dataset} is not available: {error}.\n{ways}") from error
    counts = train_images, test_images
    if counts != (None, None):
        source, arrays = _first(dataset, source, arrays, *counts)
    return ImageData.from_bytes(dataset, source, *arrays, largest=largest, first=counts)


def _first(dataset, source, arrays, *counts):
    """Return the first images of each split, and a source that states their numbers."""
    cut, words = [], []
    for name, count, pair in zip(("training", "test"), counts, (arrays[:2], arrays[2:])):
        number = len(pair[1])
        if count is not None and not 1 <= count <= number:
            raise ValueError(
                f"{dataset} has {number} {name} images. Expected a number from 1 to {number}. "
                f"Received: {count}"
            )
        cut += [array[:count] for array in pair]
        words.append(f"{count or number} {name}")
    return f"{source}, the first {' and '.join(words)} images", cut


def _mnist(data_dir, tfds_manual_dir):
    if data_dir is None:
        source, *splits = _from_tfds("mnist", tfds_manual_dir)
        arrays = [part for split in splits for part in (split["image"][..., 0], split["label"])]
        return source, arrays, 255
    arrays = mnist.read(data_dir)
    source = "original IDX files"
    if checksum(arrays) != _MNIST_SHA256:
        source = "IDX files that are not the original MNIST"
        logging.getLogger(__name__).warning("mnist: %s", source)
    return source, arrays, 255


def _cifar10(data_dir, tfds_manual_dir):
    if data_dir is not None:
        source, is_original, *arrays = cifar10.read(data_dir)
        if not is_original:
            logging.getLogger(__name__).warning("cifar10: %s", source)
        return source, arrays, 255
    source, *splits = _from_tfds("cifar10", tfds_manual_dir)
    arrays = []
    for split in splits:
        # TFDS shuffles when it builds. Sorting by id ("train_00000", ...) restores the order.
        order = np.argsort(split["id"])
        arrays += [split["image"][order], split["label"][order]]
    return source, arrays, 255


def _digits(data_dir, tfds_manual_dir):
    digits = extras.load("sklearn.datasets").load_digits()
    split = 1437  # 80% of 1,797, in the file's order
    images = digits.images.astype("uint8")
    arrays = images[:split], digits.target[:split], images[split:], digits.target[split:]
    return "scikit-learn's bundled 8x8 digits", arrays, 16


def _from_tfds(name, manual_dir):
    """Return the source, and the training and test splits as dicts of arrays."""
    try:
        tfds = extras.load("tensorflow_datasets")
    except ImportError as error:
        raise FileNotFoundError(
            f"no --data-dir was given and tensorflow-datasets is missing ({error})"
        ) from error
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    try:
        loaded = tfds.load(
            name,
            split=["train", "test"],
            batch_size=-1,
            download_and_prepare_kwargs={"download_config": config},
        )
    except Exception as error:
        # Whatever stops a download (no network, no disk space), the same advice applies.
        raise FileNotFoundError(
            f"tensorflow-datasets could not load it ({type(error).__name__}: {error})"
        ) from error
    return f"tensorflow-datasets {tfds.__version__}", *tfds.as_numpy(loaded)


_READERS = {"mnist": _mnist, "digits": _digits, "cifar10": _cifar10}
