"""Image data for the experiments: MNIST, CIFAR-10, scikit-learn's digits."""

import logging

import numpy as np

from applications import extras
from applications.datasets import cifar10
from applications.datasets import mnist
from applications.datasets.cifar10 import Cifar10
from applications.datasets.image_data import ImageData

DATASETS = ("mnist", "digits", "cifar10", "cifar10_small")
_MNIST_SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"

_TFDS = """  2. without --data-dir: tensorflow-datasets downloads it (needs
     `pip install ".[applications,tensorflow]"` and a network), or reads {files}
     from --tfds-manual-dir DIR"""

_MNIST_WAYS = f"""There are three ways to get it:
  1. --data-dir DIR, a folder with the four original files ({", ".join(mnist.FILES)};
     with or without .gz)
{_TFDS.format(files="the four original .gz files")}
  3. --dataset digits, scikit-learn's small 8x8 digits, which need no file"""

_CIFAR10_WAYS = f"""There are two ways to get it:
  1. --data-dir DIR, a folder with the original cifar-10-python.tar.gz or
     cifar-10-binary.tar.gz (also unpacked: cifar-10-batches-py, cifar-10-batches-bin),
     or the compact cifar10.npz.xz; for cifar10_small cifar10_small.npz is enough
{_TFDS.format(files="the original cifar-10-binary.tar.gz")}"""


def load(dataset="mnist", data_dir=None, tfds_manual_dir=None):
    """Load a data set.

    CIFAR-10 has its original order in every case. Other images than the original
    ones in files of the same format are loaded, too: `source` says that they are
    others, or how many were decoded from JPEG, and so does a line in the log.

    Args:
        dataset: "mnist", "cifar10", "cifar10_small" for CIFAR-10's first 10,000
            training and 2,000 test images, or "digits" for scikit-learn's
            bundled 8x8 digits.
        data_dir: A folder with the original files: for MNIST the four IDX files,
            gzipped or not; for CIFAR-10 see `cifar10_files.read`. None: through
            TensorFlow Datasets.
        tfds_manual_dir: A folder with original files from which TensorFlow
            Datasets builds its data without a network: MNIST's four .gz files,
            or cifar-10-binary.tar.gz.

    Returns:
        An `ImageData`.

    Raises:
        FileNotFoundError: The data is not to be had; the message lists the ways
            to get it.
        ValueError: An unknown data set, or a file that is damaged or not what it should be.
    """
    if dataset not in DATASETS:
        expected = ", ".join(repr(name) for name in DATASETS)
        raise ValueError(f"Unknown data set {dataset!r}. Expected one of {expected}.")
    if dataset == "digits":
        return _digits()
    try:
        if dataset == "mnist":
            return _mnist(data_dir, tfds_manual_dir)
        return _cifar10(dataset, data_dir, tfds_manual_dir)
    except FileNotFoundError as error:
        ways = _MNIST_WAYS if dataset == "mnist" else _CIFAR10_WAYS
        raise FileNotFoundError(f"{dataset} is not at hand: {error}.\n{ways}") from error


def _mnist(data_dir, tfds_manual_dir):
    if data_dir is not None:
        data = ImageData.from_bytes("mnist", "original IDX files", *mnist.read(data_dir))
        if data.sha256 != _MNIST_SHA256:
            data.source = "IDX files that are not the original MNIST"
            logging.getLogger(__name__).warning("mnist: %s", data.source)
        return data
    source, train, test = _from_tfds("mnist", tfds_manual_dir)
    return ImageData.from_bytes(
        "mnist",
        source,
        train["image"][..., 0],
        train["label"],
        test["image"][..., 0],
        test["label"],
    )


def _cifar10(dataset, data_dir, tfds_manual_dir):
    small = dataset == "cifar10_small"
    if data_dir is not None:
        data = (cifar10.read_small if small else cifar10.read)(data_dir)
    else:
        data = _cifar10_from_tfds(tfds_manual_dir)
        data = data.first(*cifar10.SMALL_SIZE) if small else data
    if not data.is_original:
        logging.getLogger(__name__).warning("%s: %s", dataset, data.source)
    return ImageData.from_bytes(
        dataset, data.source, data.x_train, data.y_train, data.x_test, data.y_test
    )


def _cifar10_from_tfds(manual_dir):
    source, *splits = _from_tfds("cifar10", manual_dir)
    arrays = []
    for split in splits:
        # Shuffled when it was built; by id ("train_00000", ...) it has its own order again.
        order = np.argsort(split["id"])
        arrays += [split["image"][order], split["label"][order]]
    return Cifar10(source, *arrays)


def _from_tfds(name, manual_dir):
    """Return the source, and the training and test split as dicts of arrays."""
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
        # Whatever stops a download (no network, no disk), the ways out are the same.
        raise FileNotFoundError(
            f"tensorflow-datasets could not load it ({type(error).__name__}: {error})"
        ) from error
    return f"tensorflow-datasets {tfds.__version__}", *tfds.as_numpy(loaded)


def _digits():
    digits = extras.load("sklearn.datasets").load_digits()
    split = 1437  # 80% of 1,797, in the file's order
    images = digits.images.astype("uint8")
    return ImageData.from_bytes(
        "digits",
        "scikit-learn's bundled 8x8 digits",
        images[:split],
        digits.target[:split],
        images[split:],
        digits.target[split:],
        largest=16,
    )
