"""Samples of a posterior, first relative to a standard normal prior, then to any prior (Eq. 22).

The layer and the distributions share these functions.
"""

import numbers

import keras
from keras import ops

from keras_slashed.ops.amplitude import relative_normal
from keras_slashed.ops.stream_seed import stream_seed


def relative_sample(psi, rotation=None, num_samples=None, seed=None, draw=True):
    """Return `sqrt(2) a + P (stdplus(sqrt(2) b) eps)` for a wide amplitude.

    The shape is (..., K), or (..., S, K) with `num_samples=S`. With `draw=False`, eps is 0. An
    integer seed starts a random stream of this package. A seed generator is used as it is.
    """
    mean, stddev = relative_normal(psi)
    if num_samples is not None:
        mean, stddev = ops.expand_dims(mean, -2), ops.expand_dims(stddev, -2)
        mean = ops.tile(mean, [1] * (len(mean.shape) - 2) + [num_samples, 1])
    if not draw:
        return mean
    if isinstance(seed, numbers.Integral):
        seed = stream_seed("sample", seed)
    noise = stddev * keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seed)
    if rotation is not None:
        rotation = ops.cast(rotation, mean.dtype)
        noise = apply_matrix(rotation, noise, num_samples is not None)
    return mean + noise


def on_prior(x, prior_mean=None, prior_stddev=None, prior_scale=None, samples=False):
    """Return `prior_mean + S0 x`, where S0 is the scale matrix or `diag(prior_stddev)`.

    With `samples=True`, x has an axis for draws before its last one, and the priors do not.
    """

    def aligned(prior):
        prior = ops.cast(prior, x.dtype)
        return ops.expand_dims(prior, -2) if samples and len(prior.shape) > 1 else prior

    if prior_stddev is not None:
        x = aligned(prior_stddev) * x
    if prior_scale is not None:
        x = apply_matrix(ops.cast(prior_scale, x.dtype), x, samples)
    if prior_mean is not None:
        x = aligned(prior_mean) + x
    return x


def apply_matrix(matrix, x, samples=False):
    """Multiply (..., D, K) by (..., K), or by each of (..., S, K) with `samples=True`."""
    transposed = ops.swapaxes(matrix, -1, -2)
    # `ops.matmul` would convert float64 to float32 on torch.
    if samples or (len(matrix.shape) == 2 and len(x.shape) > 1):
        return x @ transposed
    return ops.squeeze(ops.expand_dims(x, -2) @ transposed, -2)
