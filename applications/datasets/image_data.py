"""ImageData: the images of an experiment, and where they are from."""

import dataclasses
import hashlib

import numpy as np

PIXEL_RANGE = (-1.0, 1.0)


@dataclasses.dataclass
class ImageData:
    """Images as floats in [-1, 1], integer labels, and where they are from.

    Attributes:
        name: Name of the data set.
        source: Where its files are from, and what is not original in them.
        x_train: float32 images of shape `(number, height, width)`, or with a
            last axis of channels.
        y_train: int32 labels of shape `(number,)`.
        x_test: Likewise.
        y_test: Likewise.
        sha256: Checksum of the pixels and labels as bytes, in the order
            training images, training labels, test images, test labels.
        num_classes: Number of classes.
        first: How many training and test images there are of the whole data set, its first
            ones; None where it has all.
    """

    name: str
    source: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    sha256: str
    num_classes: int = 10
    first: tuple = (None, None)

    @classmethod
    def from_bytes(
        cls, name, source, x_train, y_train, x_test, y_test, largest=255, first=(None, None)
    ):
        """Make it of unsigned pixels in [0, `largest`]."""
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


def checksum(arrays):
    """Return the SHA-256 of arrays as bytes, one after the other."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="uint8"))
    return digest.hexdigest()


def check_labeled_images(where, images, labels, shape):
    """Raise a ValueError unless there are images, and a label of 0 to 9 for each.

    Args:
        where: What a message calls the files they are from.
        images: NumPy array; it must be uint8 of shape `(number, *shape)`.
        labels: NumPy array; it must be integers of shape `(number,)`.
        shape: Tuple of integers. Shape of an image.
    """
    if (
        images.dtype != "uint8"
        or images.shape[1:] != shape
        or labels.shape != images.shape[:1]
        or not len(images)
    ):
        raise ValueError(
            f"{where}: expected uint8 images of shape {shape}, at least one, and as many labels, "
            f"received {images.dtype} images of shape {images.shape} and labels of shape "
            f"{labels.shape}"
        )
    is_integer = labels.dtype.kind in "iu"
    wrong = labels[(labels < 0) | (labels > 9)] if is_integer else labels
    if len(wrong):
        raise ValueError(
            f"{where}: expected integer labels 0 to 9, received {len(wrong)} others, such as "
            f"{wrong[:1].tolist()[0]!r}"
        )


def _to_unit_range(pixels, largest):
    """Scale pixels from [0, largest] to [-1, 1], as the paper does (appendix E.2)."""
    result = pixels.astype("float32")
    result *= 2.0 / largest
    result -= 1.0
    return result
