"""The prior of each perturbed element: its mean and its standard deviation (Eq. 15)."""

import numbers

import numpy as np

from keras_slashed.attribution.perturbed_inputs import as_float
from keras_slashed.validation import check_number

_SQRT_2 = 2.0**0.5


class Prior:
    """Means and standard deviations of the prior, and the bounds of amplitudes.

    Args:
        noise: Number, array or "std", or a structure of these for several inputs.
        prior_mean: Number, array or "mean", a structure of these, or None for the value itself.
        values: List of NumPy arrays. What is perturbed.
        reference: Callable without arguments. It returns the arrays, a list, over which "std" and
            "mean" are computed.
        paths: List of tuples. The place of each array in the structure of the inputs.

    Attributes:
        centers: List of arrays. Prior means, of the shapes of the values.
        scales: List of arrays. Standard deviations, with one row for each row of the values.
        targets: List of arrays or None. The real parts at which the means are the values, if
            these are not the prior means.
    """

    def __init__(self, noise, prior_mean, values, reference, paths):
        noises = _of_each("noise", noise, paths)
        means = _of_each("prior_mean", prior_mean, paths)
        if any(isinstance(entry, str) for entry in noises + means):
            reference = reference()
        self.scales, self.centers = [], []
        for index, (value, scale, mean) in enumerate(zip(values, noises, means)):
            if isinstance(scale, str):
                scale = _over_channels("noise", scale, "std", np.std, reference[index])
            self.scales.append(_rows("noise", _checked_noise(scale), value))
            if mean is None:
                self.centers.append(value)
                continue
            if isinstance(mean, str):
                mean = _over_channels("prior_mean", mean, "mean", np.mean, reference[index])
            mean = _rows("prior_mean", _checked("prior_mean", mean), value)
            # Without noise an element keeps its value.
            self.centers.append(np.where(self.scales[-1] > 0, mean, value))
        self.targets = None
        if any(mean is not None for mean in means):
            self.targets = [
                _relative(value, center, scale, mean)
                for value, center, scale, mean in zip(values, self.centers, self.scales, means)
            ]


def _relative(value, center, scale, mean):
    """Return the real part that moves the mean to the value, or infinity if it is not bounded."""
    if mean is None:
        return np.full_like(value, np.inf)
    scale = np.broadcast_to(_SQRT_2 * scale, value.shape)
    return np.divide(value - center, scale, out=np.zeros_like(value), where=scale > 0)


def _of_each(name, value, paths):
    """Return one entry for each perturbed array."""
    if paths == [()] or not isinstance(value, (list, tuple, dict)):
        return [value] * len(paths)
    entries = []
    for path in paths:
        entry = value
        for key in path:
            try:
                entry = entry[key]
            except (KeyError, IndexError, TypeError):
                raise ValueError(
                    f"Argument `{name}` must have the structure of the inputs, with an entry for "
                    f"each float input. Received: {name}={value!r}, without {path}"
                ) from None
        entries.append(entry)
    return entries


def _over_channels(name, word, expected, statistic, data):
    if word != expected:
        raise ValueError(
            f"Argument `{name}` must be a number, an array or {expected!r}. "
            f"Received: {name}={word!r}"
        )
    return statistic(data, axis=tuple(range(data.ndim - 1)), dtype="float64")


def _checked_noise(noise):
    if isinstance(noise, numbers.Number):
        check_number("noise", noise, above=0)
    noise = _checked("noise", noise)
    if np.any(noise < 0) or not np.any(noise > 0):
        raise ValueError(
            "Argument `noise` must be a positive, finite number, or an array or standard "
            "deviations that are 0 or more and not all 0. "
            f"Received: values from {noise.min()} to {noise.max()}"
        )
    return noise


def _checked(name, value):
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
        raise ValueError(
            f"Argument `{name}` must be a finite number or array. Received: {name}={value!r}"
        )
    return as_float(array)


def _rows(name, array, value):
    """Return an array with as many axes and rows as the values, to which it broadcasts."""
    fits = array.ndim <= value.ndim and all(
        length in (1, expected)
        for length, expected in zip(reversed(array.shape), reversed(value.shape))
    )
    if not fits:
        raise ValueError(
            f"Argument `{name}` must broadcast to the shape {value.shape} of what is perturbed. "
            f"Received: {name} of shape {array.shape}"
        )
    array = array.reshape(*[1] * (value.ndim - array.ndim), *array.shape)
    return np.broadcast_to(array, (len(value), *array.shape[1:]))
