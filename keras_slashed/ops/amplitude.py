"""Amplitudes and the normal distributions that they represent (Eq. 10 to 16)."""

import math

from keras import ops

from keras_slashed.keras_faults.symbolic_operands import alike
from keras_slashed.one_tensor import check_one_tensor
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import cast_in_range
from keras_slashed.ops.floats import clip_amplitude
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.stdplus_operations import LogStdplus
from keras_slashed.ops.stdplus_operations import Stdplus
from keras_slashed.ops.stdplus_operations import StdplusInverse
from keras_slashed.validation import broadcast
from keras_slashed.validation import check_prior_shape
from keras_slashed.validation import may_be_equal

_SQRT_2 = math.sqrt(2.0)


def amplitude_to_normal(amplitude, prior_mean=None, prior_stddev=None):
    """Convert an amplitude to the mean and standard deviation of its posterior.

    `mean = prior_mean + sqrt(2) prior_stddev a` and
    `stddev = |prior_stddev| stdplus(sqrt(2) b)`, where `a` and `b` are the first and last K
    entries of the amplitude. The KL divergence of the posterior from the prior is the squared
    norm of the amplitude, whatever the prior.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.
        prior_mean: Float tensor or None. Prior mean, broadcastable to `(..., K)`. Defaults
            to 0.
        prior_stddev: Float tensor or None. Prior standard deviation, broadcastable to
            `(..., K)`. Defaults to 1. It may be negative, which mirrors the mean.

    Returns:
        Two tensors `(mean, stddev)` of shape `(..., K)` in the dtype of the amplitude, computed
        in float32 or wider.

    Raises:
        ValueError: If the last axis of the amplitude has an odd length, a prior does not
            broadcast to `(..., K)`, or a tensor is complex.

    Example:

    >>> mean, stddev = keras_slashed.ops.amplitude_to_normal([[1.0, 0.0]])
    >>> round(float(mean[0, 0]), 4), float(stddev[0, 0])
    (1.4142, 1.0)

    Reference:
        Slashed Normal, Eq. 15.
    """
    amplitude = to_amplitude(amplitude)
    prior_mean = _prior("prior_mean", prior_mean, amplitude.shape)
    prior_stddev = _prior("prior_stddev", prior_stddev, amplitude.shape)
    amplitude, prior_mean, prior_stddev = alike(amplitude, prior_mean, prior_stddev)
    dtype = amplitude.dtype
    mean, stddev = relative_normal(widen_amplitude(amplitude))
    if prior_stddev is not None:
        prior_stddev = ops.cast(prior_stddev, mean.dtype)
        mean = prior_stddev * mean
        stddev = ops.abs(prior_stddev) * stddev
    if prior_mean is not None:
        mean = ops.cast(prior_mean, mean.dtype) + mean
    return cast_in_range(mean, dtype), cast_in_range(stddev, dtype)


def relative_normal(psi):
    """Return mean and standard deviation relative to a standard normal prior (Eq. 14)."""
    real, imaginary = ops.split(psi, 2, axis=-1)
    return _SQRT_2 * real, Stdplus.of_wide(_SQRT_2 * imaginary)


def relative_log_stddev(psi):
    """Return the logarithm of the standard deviation of `relative_normal`, without underflow."""
    _, imaginary = ops.split(psi, 2, axis=-1)
    return LogStdplus.of_wide(_SQRT_2 * imaginary)


def normal_to_amplitude(mean, stddev, prior_mean=None, prior_stddev=None):
    """Convert the mean and standard deviation of a posterior to its amplitude.

    `a = (mean - prior_mean) / (sqrt(2) prior_stddev)` and
    `b = stdplus_inverse(stddev / |prior_stddev|) / sqrt(2)`. This is the inverse of
    `amplitude_to_normal`.

    Args:
        mean: Float tensor of shape `(..., K)`.
        stddev: Float tensor. Positive, with a shape that broadcasts with `mean`.
        prior_mean: Float tensor or None. Prior mean, broadcastable to `(..., K)`. Defaults
            to 0.
        prior_stddev: Float tensor or None. Prior standard deviation, not 0, broadcastable to
            `(..., K)`. Defaults to 1.

    Returns:
        A tensor of shape `(..., 2K)` in the dtype of `mean`, clipped to the range of `rate`.
        A standard deviation of 0 has the amplitude -inf. The clipped amplitude is finite and
        still represents a standard deviation of 0.

    Raises:
        ValueError: If `mean` is a scalar or does not broadcast with `stddev`, a prior does not
            broadcast to `(..., K)`, or a tensor is complex.

    Example:

    >>> amplitude = keras_slashed.ops.normal_to_amplitude([2.0], [0.5])
    >>> round(float(keras_slashed.ops.rate(amplitude)), 4)  # KL(N(2, 1/4) || N(0, 1))
    2.3181

    Reference:
        Slashed Normal, Eq. 9 to 15 solved for psi.
    """
    check_one_tensor("mean", mean)
    check_one_tensor("stddev", stddev)
    mean, stddev = to_float_tensor(mean), to_float_tensor(stddev)
    _check_same_latents(mean.shape, stddev.shape)
    *leading, size = broadcast(tuple(mean.shape), tuple(stddev.shape))
    amplitude_shape = (*leading, 2 * size)
    prior_mean = _prior("prior_mean", prior_mean, amplitude_shape)
    prior_stddev = _prior("prior_stddev", prior_stddev, amplitude_shape)
    mean, stddev, prior_mean, prior_stddev = alike(mean, stddev, prior_mean, prior_stddev)
    dtype = mean.dtype
    real = at_least_float32(mean)
    stddev = ops.cast(stddev, real.dtype)
    if prior_mean is not None:
        real = real - ops.cast(prior_mean, real.dtype)
    if prior_stddev is not None:
        prior_stddev = ops.cast(prior_stddev, real.dtype)
        real = real / prior_stddev
        stddev = stddev / ops.abs(prior_stddev)
    real = real / _SQRT_2
    imaginary = StdplusInverse.of_wide(stddev) / _SQRT_2
    real = real + ops.zeros_like(stddev)
    imaginary = imaginary + ops.zeros_like(real)
    amplitude = ops.concatenate([real, imaginary], axis=-1)
    return ops.cast(clip_amplitude(amplitude, dtype), dtype)


def narrow_amplitude(amplitude):
    """Fold an amplitude so that the posterior is no wider than the prior in any dimension.

    `(a, b) -> (a, -|b|)`. The rate `sum(a^2 + b^2)` stays the same to the last bit. The standard
    deviation `prior_stddev stdplus(sqrt(2) b)` is greater than that of the prior where b > 0.
    The ratio of the two densities is then unbounded, and a code needs many more bits to draw from
    the posterior (`keras_slashed.coding`). Put the function between the layer that outputs the
    amplitude and its normalization or sampling. The gradient with respect to b changes its sign
    where b > 0.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.

    Returns:
        A tensor of the shape and dtype of the amplitude.

    Raises:
        ValueError: If the last axis has an odd length, or the amplitude is complex instead of
            real parts, then imaginary parts.

    Example:

    >>> narrow = keras_slashed.ops.narrow_amplitude([[1.0, 0.5]])
    >>> [round(float(x), 4) for x in narrow[0]], float(keras_slashed.ops.rate(narrow)[0])
    ([1.0, -0.5], 1.25)

    Reference:
        Slashed Normal, Eq. 14: a posterior of the same rate and mean with `sigma <= sigma0`.
    """
    real, imaginary = ops.split(to_amplitude(amplitude), 2, axis=-1)
    return ops.concatenate([real, -ops.abs(imaginary)], axis=-1)


def rate(amplitude):
    """Compute the rate of an amplitude, `KL(posterior || prior)` in nats.

    `rate = sum_k (a_k^2 + b_k^2)`, the squared norm of the amplitude.

    Args:
        amplitude: Float tensor of shape `(..., 2K)`.

    Returns:
        A tensor of shape `(...)` with one rate for each amplitude, in float32 or wider. An
        entry whose square could overflow counts as the largest amplitude, which is 2^52, or
        2^12 in float16.

    Raises:
        ValueError: If the last axis has an odd length, or the amplitude is complex instead of
            real parts, then imaginary parts.

    Example:

    >>> float(keras_slashed.ops.rate([[1.0, 0.5]])[0])
    1.25

    Reference:
        Slashed Normal, Eq. 10 and 16.
    """
    return rate_of(widen_amplitude(to_amplitude(amplitude)))


def rate_of(psi):
    """Return the rate of a wide amplitude."""
    return ops.sum(ops.square(psi), axis=-1)


def _prior(name, value, amplitude_shape):
    """Return a parameter of the prior as a float tensor whose shape fits, or None."""
    if value is None:
        return None
    value = to_float_tensor(value)
    check_prior_shape(name, value.shape, amplitude_shape)
    return value


def _check_same_latents(mean_shape, stddev_shape):
    """Raise a ValueError unless a mean and a standard deviation broadcast together."""
    aligned = zip(reversed(mean_shape), reversed(stddev_shape))
    if len(mean_shape) == 0 or not all(
        1 in (one, other) or may_be_equal(one, other) for one, other in aligned
    ):
        raise ValueError(
            "Arguments `mean` and `stddev` must broadcast together, and the last axis of `mean` "
            f"must be that of the K latent dimensions. Received: mean.shape={tuple(mean_shape)}, "
            f"stddev.shape={tuple(stddev_shape)}"
        )
