"""Functions that the densities of both distributions share."""

import math

import keras
from keras import ops

from keras_slashed.validation import broadcast

LOG_2_PI = math.log(2.0 * math.pi)

# A distance in standard deviations is clipped to this, so that its square is in range.
_LARGEST = 2.0**60
# In divisions, a standard deviation counts as at least exp of minus this.
_LARGEST_LOG = {"float64": 700.0}
_LARGEST_LOG_ELSEWHERE = 80.0


def standardized(residual, log_stddev):
    """Return `residual / stddev`, which is finite for any standard deviation.

    It uses the logarithm instead of a division, since the logarithm of a standard deviation that
    underflows to 0 is still finite.
    """
    dtype = keras.backend.standardize_dtype(residual.dtype)
    bound = _LARGEST_LOG.get(dtype, _LARGEST_LOG_ELSEWHERE)
    scaled = residual * ops.exp(ops.clip(-log_stddev, -bound, bound))
    return ops.clip(scaled, -_LARGEST, _LARGEST)


def log_density(distances, rank, log_determinant):
    """Return the log-density of a normal distribution at a point of its support.

    Args:
        distances: Float tensor of shape (..., K). Independent distances in standard deviations.
        rank: Integer or float tensor. Dimension of the support.
        log_determinant: Float tensor. Log-volume of the image of a unit cube.
    """
    return -0.5 * (ops.sum(distances * distances, axis=-1) + rank * LOG_2_PI) - log_determinant


def entropy_of(rank, log_determinant):
    """Return the entropy of a normal distribution on its support, in nats."""
    return 0.5 * rank * (1.0 + LOG_2_PI) + log_determinant


def axes_for_draws(z_shape, batch, size):
    """Return the number of axes to insert before the event axes of the parameters to fit z.

    It is 0 if z broadcasts with the batch as in NumPy. If z has more axes and its first ones fit
    the batch, z contains draws as returned by `sample`, and it is the number of axes of draws.
    """
    count = len(z_shape) - 1 - len(batch)
    if count > 0 and all(
        length == 1 or None in (length, given) or length == given
        for length, given in zip(batch, z_shape)
    ):
        _check_event_shape(z_shape, (*batch, *[1] * count), size)
        return count
    _check_event_shape(z_shape, batch, size)
    return 0


def insert_axes(x, count, event_axes=1):
    """Insert axes of length 1 before the event axes. Return a scalar or None unchanged."""
    if x is None or len(x.shape) < event_axes:
        return x
    for _ in range(count):
        x = ops.expand_dims(x, -1 - event_axes)
    return x


def _check_event_shape(shape, batch, size):
    """Raise a ValueError unless the shape of a `z` fits the batch of a distribution."""
    if len(shape) == 0 or shape[-1] != size or broadcast(tuple(shape[:-1]), batch) is None:
        raise ValueError(
            f"Argument `z` must have the shape (..., {size}), with leading axes that broadcast "
            f"with the batch {tuple(batch)} of the distribution, or that start with it, as those "
            f"of draws do. Received: z.shape={tuple(shape)}"
        )
