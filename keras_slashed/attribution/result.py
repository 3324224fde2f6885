"""Attribution: the result of `amplitude_attribution`."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_slashed.attribution.resizing import resized


class Attribution(NamedTuple):
    """The perturbations of N inputs and their rates, as NumPy arrays.

    With several inputs, `amplitude`, `nats` and what is computed from them have the structure of
    the inputs, a list or a dict with one array for each of them. An integer input, which is not
    perturbed, has None.

    Attributes:
        amplitude: Array of the shape of the perturbed inputs or layer outputs, with twice the
            length of the last axis. Amplitudes of the perturbations. For C channels, the C real
            parts precede the C imaginary parts.
        nats: Array of the shape of what is perturbed. The map, `|psi|^2` of each element.
        rate: Array of shape `(N,)`. `KL(perturbation || noise)` of each input in nats, the sum of
            its map.
        residual: Array of shape `(N,)`. Distance of each input from stationarity,
            `||psi - T(psi)|| / max(||psi||, ||T(psi)||)`, where T is the right side of Eq. 23,
            within the bounds that a `prior_mean` sets. It is 0 if both norms are 0.
        loss: Array of shape `(N,)`. Expected loss of each perturbed input.
        noise_loss: Array of shape `(N,)`. Expected loss of each input with psi = 0.

    Example:

    >>> result = keras_slashed.attribution.amplitude_attribution(
    ...     lambda z: z, np.zeros((4, 3), "float32"), beta=0.01, seed=0)
    >>> result.amplitude.shape, result.nats.shape, result.rate.shape
    ((4, 6), (4, 3), (4,))
    >>> bool(np.all(result.loss < result.noise_loss))
    True
    """

    amplitude: Any
    nats: Any
    rate: Any
    residual: Any
    loss: Any
    noise_loss: Any

    @property
    def bits(self):
        """The map in bits."""
        return _each(lambda nats: nats / np.log(2.0), self.nats)

    @property
    def tokens(self):
        """The nats of each position: the map, summed over its last axis.

        For the output of an embedding, of shape `(N, length, features)`, these are the nats of
        each token, of shape `(N, length)`.
        """
        return _each(lambda nats: nats.sum(axis=-1), self.nats)

    def resize(self, shape):
        """Return the nats of each position, resized, for example to the size of the images.

        The nats are summed over the last axis and interpolated linearly. The sum of each map
        remains its rate.

        Args:
            shape: Tuple of integers. Lengths of the axes between the first and the last one of
                `nats`. For the map of a convolutional layer, it is `(height, width)` of the
                image.

        Returns:
            A NumPy array of shape `(N, *shape)`, in nats.

        Raises:
            ValueError: If the number of axes is another one.

        Example:

        >>> result = keras_slashed.attribution.amplitude_attribution(
        ...     lambda z: keras.ops.mean(z, axis=(1, 2)), np.zeros((1, 2, 2, 3), "float32"), seed=0)
        >>> result.resize((8, 8)).shape
        (1, 8, 8)
        """
        return _each(lambda nats: resized(nats.sum(axis=-1), shape), self.nats)


def _each(function, maps):
    return keras.tree.map_structure(lambda leaf: None if leaf is None else function(leaf), maps)
