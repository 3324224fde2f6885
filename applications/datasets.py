"""Image data for the experiments: the original files, TensorFlow Datasets, scikit-learn."""

import dataclasses
import gzip
import hashlib
import pathlib
import struct

import numpy as np

_MNIST_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}

_MISSING = """MNIST is not at hand: {reason}
There are three ways to get it:
  1. --data-dir DIR, a folder with the four original files ({files};
     with or without .gz)
  2. without --data-dir: tensorflow-datasets downloads it (needs `pip install
     tensorflow tensorflow-datasets` and a network), or reads the four original
     .gz files from --tfds-manual-dir DIR
  3. --dataset digits, scikit-learn's small 8x8 digits, which need no file"""


@dataclasses.dataclass
class ImageData:
    """Images as floats in [-1, 1], integer labels, and where they are from."""

    name: str
    source: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    sha256: str
    num_classes: int = 10


def load(dataset="mnist", data_dir=None, tfds_manual_dir=None):
    """Load a data set.

    Args:
        dataset: "mnist", or "digits" for scikit-learn's bundled 8x8 digits.
        data_dir: For MNIST, a folder with the original IDX files, gzipped or
            not. None: through TensorFlow Datasets.
        tfds_manual_dir: A folder with the original .gz files from which
            TensorFlow Datasets builds its MNIST without a network.

    Returns:
        An `ImageData`.

    Raises:
        FileNotFoundError: The data is not to be had; the message lists the ways
            to get it.
        ValueError: An unknown data set, or a file that is not what it should be.
    """
    if dataset == "digits":
        return _digits()
    if dataset != "mnist":
        raise ValueError(f"Unknown data set {dataset!r}. Expected 'mnist' or 'digits'.")
    if data_dir is None:
        return _mnist_from_tfds(tfds_manual_dir)
    folder = pathlib.Path(data_dir)
    arrays = {key: read_idx(_find(folder, name)) for key, name in _MNIST_FILES.items()}
    return _image_data("mnist", "original IDX files", arrays, largest=255)


def read_idx(path):
    """Read an IDX file of unsigned bytes, gzipped or not, as an array.

    Raises:
        ValueError: The file is not one, or is cut short.
    """
    path = pathlib.Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError) as error:
            raise ValueError(f"{path.name} is a damaged gzip file: {error}") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path.name} is not an IDX file of unsigned bytes: expected it to start with "
            f"00 00 08, received {content[:3].hex(' ') or 'an empty file'}"
        )
    rank = content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start]) if len(content) >= start else ()
    if len(content) - start != int(np.prod(shape)) or not shape:
        raise ValueError(
            f"{path.name} is cut short or too long: its header says shape {shape}, "
            f"and {len(content) - start} bytes follow"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _find(folder, name):
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise FileNotFoundError(
        _MISSING.format(
            reason=f"--data-dir {folder} holds no {name}.gz.",
            files=", ".join(_MNIST_FILES.values()),
        )
    )


def _mnist_from_tfds(manual_dir):
    files = ", ".join(_MNIST_FILES.values())
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        reason = f"no --data-dir was given and tensorflow-datasets is missing ({error})."
        raise FileNotFoundError(_MISSING.format(reason=reason, files=files)) from error
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    try:
        loaded = tfds.load(
            "mnist",
            split=["train", "test"],
            batch_size=-1,
            as_supervised=True,
            download_and_prepare_kwargs={"download_config": config},
        )
    except Exception as error:
        # Whatever stops a download (no network, no disk), the ways out are the same.
        reason = f"tensorflow-datasets could not load it ({type(error).__name__}: {error})."
        raise FileNotFoundError(_MISSING.format(reason=reason, files=files)) from error
    (x_train, y_train), (x_test, y_test) = tfds.as_numpy(loaded)
    arrays = {
        "x_train": x_train[..., 0],
        "y_train": y_train,
        "x_test": x_test[..., 0],
        "y_test": y_test,
    }
    return _image_data("mnist", f"tensorflow-datasets {tfds.__version__}", arrays, largest=255)


def _digits():
    from sklearn import datasets

    digits = datasets.load_digits()
    split = 1437  # 80% of 1,797, in the file's order
    arrays = {
        "x_train": digits.images[:split].astype("uint8"),
        "y_train": digits.target[:split],
        "x_test": digits.images[split:].astype("uint8"),
        "y_test": digits.target[split:],
    }
    return _image_data("digits", "scikit-learn's bundled 8x8 digits", arrays, largest=16)


def _image_data(name, source, arrays, largest):
    digest = hashlib.sha256()
    for key in _MNIST_FILES:
        digest.update(np.ascontiguousarray(arrays[key], dtype="uint8").tobytes())
    return ImageData(
        name=name,
        source=source,
        x_train=_to_unit_range(arrays["x_train"], largest),
        y_train=arrays["y_train"].astype("int32"),
        x_test=_to_unit_range(arrays["x_test"], largest),
        y_test=arrays["y_test"].astype("int32"),
        sha256=digest.hexdigest(),
    )


def _to_unit_range(pixels, largest):
    """Scale pixels from [0, largest] to [-1, 1], as the paper does (appendix E.2)."""
    return pixels.astype("float32") * (2.0 / largest) - 1.0
