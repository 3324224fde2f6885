"""Cifar10: its pixels and labels as bytes, and which of the pixels are not original."""

import dataclasses

import numpy as np

from applications.image_data import check_labeled_images

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5",
           "test_batch")  # fmt: skip
IMAGES_IN_A_BATCH = 10_000


@dataclasses.dataclass
class Cifar10:
    """CIFAR-10, or the beginning of it, in its original order.

    Attributes:
        files: What it was read from.
        x_train: uint8 of shape `(number, 32, 32, 3)`.
        y_train: Labels of shape `(number,)`.
        x_test: Likewise.
        y_test: Likewise.
        jpeg_train: Positions of training images that are decoded JPEG copies.
        jpeg_test: Positions of such test images.
        is_published: Whether its batches may be the published ones.

    Raises:
        ValueError: An array has not that shape or type, a label is not 0 to 9, or a
            position is not that of an image.
    """

    files: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    jpeg_train: np.ndarray = ()
    jpeg_test: np.ndarray = ()
    is_published: bool = True

    def __post_init__(self):
        for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
            check_labeled_images(self.files, x, y, (32, 32, 3))
        self.jpeg_train = _positions(self.jpeg_train, len(self.x_train), self.files)
        self.jpeg_test = _positions(self.jpeg_test, len(self.x_test), self.files)

    @classmethod
    def from_batches(cls, files, images, labels, jpeg=(), is_published=True):
        """Make it of all images, the batch of test images last.

        Args:
            files: What it was read from.
            images: Array of shape `(number, 32, 32, 3)`.
            labels: Array of shape `(number,)`.
            jpeg: Positions of decoded JPEG copies.
            is_published: Whether the batches may be the published ones.
        """
        train = len(images) - IMAGES_IN_A_BATCH
        jpeg = _positions(jpeg, len(images), files)
        return cls(
            files,
            images[:train],
            labels[:train],
            images[train:],
            labels[train:],
            jpeg[jpeg < train],
            jpeg[jpeg >= train] - train,
            is_published,
        )

    @property
    def is_original(self):
        """Whether nothing is known that makes its images others than the original ones."""
        return self.is_published and not len(self.jpeg_train) + len(self.jpeg_test)

    @property
    def source(self):
        """What it was read from, and how many images are not original."""
        train, test = len(self.jpeg_train), len(self.jpeg_test)
        if not train + test:
            return self.files
        return (
            f"{self.files}; {train + test} of {len(self.x_train) + len(self.x_test)} images "
            f"({train} training, {test} test) are decoded JPEG copies, the others original"
        )

    def first(self, train, test):
        """Return the first training and test images; itself if it has no more."""
        if len(self.x_train) <= train and len(self.x_test) <= test:
            return self
        return Cifar10(
            f"{self.files}, the first {train} training and {test} test images",
            self.x_train[:train],
            self.y_train[:train],
            self.x_test[:test],
            self.y_test[:test],
            self.jpeg_train[self.jpeg_train < train],
            self.jpeg_test[self.jpeg_test < test],
            self.is_published,
        )


def _positions(positions, number, files):
    """Return positions among a number of images, sorted."""
    positions = np.asarray(positions)
    if not positions.size:
        return np.zeros(0, int)
    if (
        positions.ndim != 1
        or positions.dtype.kind not in "iu"
        or positions.min() < 0
        or positions.max() >= number
    ):
        raise ValueError(
            f"{files}: expected positions of JPEG copies to be integers from 0 to {number - 1}, "
            f"received {positions.dtype} positions {positions.tolist()[:5]}"
        )
    return np.sort(positions)
