"""What a code costs and how close to the image it gets, next to draws from the posterior."""

import copy
import warnings

import keras
import numpy as np

from applications.compress.block_vae import reconstruction
from applications.compress.pictures import pixels_of
from applications.compress.pictures import psnr
from keras_slashed.coding import BlockCode
from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import narrow_amplitude

_BATCH = 100
_DRAWS = 4  # posterior draws of each image


class Measures:
    """The amplitudes of images, and the distortion of draws from them.

    Args:
        vae: `BlockVAE`, trained.
        images: Array of pixels in [0, 1].
        seed: Integer. Seed of all draws.

    Attributes:
        amplitude: Array of shape `(number, blocks, 2 block_dim)`.
    """

    def __init__(self, vae, images, seed=0):
        self._vae, self._images, self._seed = vae, images, seed
        self._nats = reconstruction(vae.setting)
        self.amplitude = vae.encoder.predict(images, batch_size=_BATCH, verbose=0)

    @property
    def rates(self):
        """Rates of all blocks in nats, of shape `(number, blocks)`."""
        return np.sum(np.square(self.amplitude.astype("float64")), axis=-1)

    @property
    def stddev(self):
        """Standard deviations of the posterior, whose prior has 1."""
        return keras.ops.convert_to_numpy(amplitude_to_normal(self.amplitude)[1])

    def folded(self):
        """Return the same measures of the amplitudes `a - |b| i`, which have the same rates."""
        other = copy.copy(self)
        other.amplitude = keras.ops.convert_to_numpy(narrow_amplitude(self.amplitude))
        return other

    def posterior(self):
        """Return the nats of each image, and the PSNR, of draws from the posterior."""
        mean, _ = amplitude_to_normal(self.amplitude)
        mean, stddev = keras.ops.convert_to_numpy(mean), self.stddev
        rng = np.random.default_rng([self._seed, 1])
        found = [
            self._distortion((mean + stddev * rng.normal(size=mean.shape)).astype("float32"))
            for _ in range(_DRAWS)
        ]
        nats, decibels = zip(*found)
        return np.mean(nats, axis=0), float(np.mean(decibels))

    def coded(self, bits):
        """Return the nats of each image, and the PSNR, of one decoded draw.

        Args:
            bits: Integer, bits of every block, or a sequence with the bits of each block of an
                image.
        """
        number, blocks, twice = self.amplitude.shape
        if np.ndim(bits) == 0:
            z = self._draw(self.amplitude, int(bits))
        else:
            z = np.empty((number, blocks, twice // 2), "float32")
            for index, of_block in enumerate(bits):
                z[:, index] = self._draw(self.amplitude[:, index], int(of_block), index)
        return self._distortion(z)

    def outputs(self, bits):
        """Return the decoder's outputs of one decoded draw."""
        return self._decode(self._draw(self.amplitude, bits))

    def _draw(self, amplitude, bits, seed=0):
        code = BlockCode(bits, seed)
        with warnings.catch_warnings():
            # The code warns of fewer bits than the rate, whose effect is to be measured.
            warnings.simplefilter("ignore", UserWarning)
            indices = code.encode(amplitude, seed=self._seed)
        return keras.ops.convert_to_numpy(code.decode(indices, amplitude.shape[-1] // 2))

    def _decode(self, z):
        return self._vae.decoder.predict(z, batch_size=_BATCH, verbose=0)

    def _distortion(self, z):
        output = self._decode(z)
        tensors = map(keras.ops.convert_to_tensor, (self._images, output))
        nats = keras.ops.convert_to_numpy(self._nats(*tensors))
        return nats, psnr(self._images, pixels_of(output, self._vae.setting.pixels))


def standard_error(values):
    """Return the standard error of a mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
