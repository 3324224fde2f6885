"""The images of a data set as pixels in [0, 1], and what is measured of two such images."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Pictures:
    """Training and test images of one shape, as float32 in [0, 1]."""

    train: np.ndarray  # `(number, height, width)` or `(number, height, width, channels)`
    test: np.ndarray  # like `train`
    shades: int  # number of values of a pixel
    source: str  # where the images come from
    sha256: str  # checksum of the data set

    @classmethod
    def of(cls, data, pixels):
        """Make the pictures of an `ImageData`.

        Args:
            data: `ImageData`.
            pixels: String. "binary" sets pixels to 1 that are above one half, and others to 0.
        """
        train, test = ((x + 1) / 2 for x in (data.x_train, data.x_test))
        if pixels == "binary":
            train, test = ((x > 0.5).astype("float32") for x in (train, test))
            return cls(train, test, 2, f"{data.source}, binarized at 1/2", data.sha256)
        return cls(train, test, 17 if data.name == "digits" else 256, data.source, data.sha256)

    @property
    def raw_bytes(self):
        """Bytes of an image whose pixels each take the whole bits that their shades need."""
        bits = int(np.ceil(np.log2(self.shades)))
        return np.prod(self.train.shape[1:]) * bits / 8


def pixels_of(output, pixels):
    """Return the pixels in [0, 1] of a decoder's output.

    Args:
        output: Array. Logits of binary pixels, or pixels.
        pixels: String. One of `config.PIXELS`. For "binary" the result is the probability of 1.
    """
    if pixels == "binary":
        return 0.5 * (1 + np.tanh(0.5 * output))
    return np.clip(output, 0, 1)


def psnr(images, others):
    """Return the peak signal-to-noise ratio in decibels, from the mean squared error of all images.

    Args:
        images: Array of pixels in [0, 1].
        others: Array of the same shape. If it differs by at most half a step of 1/255 in every
            pixel, the result is infinite.
    """
    difference = np.abs(np.asarray(images, "float64") - others)
    if difference.max() <= 0.5 / 255 + 1e-6:
        return np.inf
    return float(-10 * np.log10(np.mean(np.square(difference))))
