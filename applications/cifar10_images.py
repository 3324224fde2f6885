"""Cifar10: its pixels and labels as bytes, and which of the pixels are not original."""

import dataclasses

import numpy as np

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

    Raises:
        ValueError: An array has not that shape or type, or a label is not 0 to 9.
    """

    files: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    jpeg_train: np.ndarray = ()
    jpeg_test: np.ndarray = ()

    def __post_init__(self):
        for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
            if x.dtype != "uint8" or x.shape[1:] != (32, 32, 3) or y.shape != x.shape[:1]:
                raise ValueError(
                    f"{self.files}: expected uint8 images (number, 32, 32, 3) and as many labels, "
                    f"received {x.dtype} {x.shape} and {y.shape}"
                )
            if not np.isin(y, range(10)).all():
                raise ValueError(
                    f"{self.files}: expected labels 0 to 9, received {np.unique(y).tolist()}"
                )

    @classmethod
    def from_batches(cls, files, images, labels, jpeg=()):
        """Make it of all images, the batch of test images last.

        Args:
            files: What it was read from.
            images: Array of shape `(number, 32, 32, 3)`.
            labels: Array of shape `(number,)`.
            jpeg: Positions of decoded JPEG copies.
        """
        train = len(images) - IMAGES_IN_A_BATCH
        jpeg = np.sort(np.asarray(jpeg, int))
        return cls(
            files,
            images[:train],
            labels[:train],
            images[train:],
            labels[train:],
            jpeg[jpeg < train],
            jpeg[jpeg >= train] - train,
        )

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
            [position for position in self.jpeg_train if position < train],
            [position for position in self.jpeg_test if position < test],
        )
