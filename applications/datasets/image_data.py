"""ImageData: the images of an experiment, and where they come from."""

import dataclasses
import hashlib

import numpy as np

PIXEL_RANGE = (-1.0, 1.0)


@dataclasses.dataclass
class ImageData:
    """Images as floats in [-1, 1], integer labels, and where they come from."""

    name: str  # of the data set
    source: str  # where its files come from, and what in them is not original
    # The training images, float32 of shape `(number, height, width)` or
    # `(number, height, width, channels)`.
    x_train: np.ndarray
    y_train: np.ndarray  # the training labels, int32 of shape `(number,)`
    x_test: np.ndarray  # the test images, like `x_train`
    y_test: np.ndarray  # the test labels, like `y_train`
    # Checksum of the pixels and labels as bytes, in the order training images, training labels,
    # test images, test labels.
    sha256: str
    num_classes: int = 10  # number of classes
    # Two integers or Nones. The number of first training images and first test images that were
    # taken from the whole data set. None means all.
    first: tuple = (None, None)

    @classmethod
    def from_bytes(
        cls, name, source, x_train, y_train, x_test, y_test, largest=255, first=(None, None)
    ):
        """Make an `ImageData` from unsigned pixels in [0, `largest`]."""
        return cls(
            name=name,
            source=source,
            x_train=_to_unit_range(x_train, largest),
            y_train=y_train.astype("int32"),
            x_test=_to_unit_range(x_test, largest),
            y_test=y_test.astype("int32"),
            sha256=checksum([x_train, y_train, x_test, y_test]),
            first=first,
        )


def random_images(num_train, num_test, seed=0):
    """Return an `ImageData` of random pixels and labels with MNIST's shape."""
    rng = np.random.default_rng(seed)

    def images(number):
        return rng.integers(0, 256, (number, 28, 28)).astype("float32") * (2.0 / 255) - 1.0

    def labels(number):
        return rng.integers(0, 10, number).astype("int32")

    return ImageData(
        name="random",
        source="random numbers",
        x_train=images(num_train),
        y_train=labels(num_train),
        x_test=images(num_test),
        y_test=labels(num_test),
        sha256="",
    )


def checksum(arrays):
    """Return the SHA-256 of the concatenated bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="uint8"))
    return digest.hexdigest()


def check_labeled_images(where, images, labels, shape):
    """Raise a ValueError unless there are images, and a label from 0 to 9 for each.

    Args:
        where: String. Name of the files in error messages.
        images: NumPy array. It must be uint8 of shape `(number, *shape)`.
        labels: NumPy array. It must be integers of shape `(number,)`.
        shape: Tuple of integers. Shape of an image.
    """
    if (
        images.dtype != "uint8"
        or images.shape[1:] != shape
        or labels.shape != images.shape[:1]
        or not len(images)
    ):
        raise ValueError(
            f"{where}: expected at least one uint8 image of shape {shape} and a label for each, "
            f"received {images.dtype} images of shape {images.shape} and labels of shape "
            f"{labels.shape}"
        )
    is_integer = labels.dtype.kind in "iu"
    wrong = labels[(labels < 0) | (labels > 9)] if is_integer else labels
    if len(wrong):
        raise ValueError(
            f"{where}: expected integer labels from 0 to 9, received {len(wrong)} others, such as "
            f"{wrong[:1].tolist()[0]!r}"
        )


def _to_unit_range(pixels, largest):
    """Scale pixels from [0, largest] to [-1, 1], as the paper does (appendix E.2)."""
    result = pixels.astype("float32")
    result *= 2.0 / largest
    result -= 1.0
    return result
