"""The mutual information of data and latents, as a function of a data set."""

import math
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_slashed.evaluation.batches import filled_up
from keras_slashed.evaluation.batches import with_progress
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.moments import RunningMoments
from keras_slashed.metrics.pairs import log_densities
from keras_slashed.metrics.pairs import log_sum_of_densities
from keras_slashed.metrics.pairs import normal_parameters
from keras_slashed.metrics.posterior import amplitude_of
from keras_slashed.metrics.posterior import encoded_instances
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_positive_integer


class MutualInformationEstimate(NamedTuple):
    """An estimate of a mutual information, in nats.

    Attributes:
        estimate: Float. The estimate, at most `cap`, to rounding.
        standard_error: Float. Standard error of the estimate.
        cap: Float. `log N`, the largest possible estimate from N instances.
    """

    estimate: float
    standard_error: float
    cap: float


def mutual_information(
    encoder, x, num_samples=1, batch_size=32, chunk_size=512, seed=None, verbose=0
):
    """Estimate the mutual information of data and latents by Monte Carlo, in nats.

    `I_q = E_x KL(q(z|x) || p(z)) - KL(q(z) || p(z))` equals
    `E_x E_{z ~ q(z|x)} [log q(z|x) - log q(z)]`. The aggregated posterior
    `q(z) = 1/N sum_j q(z|x_j)` is a mixture over the N instances of the data, and the prior
    cancels. Eq. 48 is the rate minus `KL(q(z) || p(z))`, so the rate is an upper bound.

    The meaning of the estimate depends on the cap, `log N`:

    - For the N given instances, each drawn with probability 1/N, the estimate is unbiased. Only z
      is random.
    - For a population of which the instances are a sample, the estimate is too low on average,
      since the mixture contains the posterior of each instance itself. The bias decreases as
      `1/N` and is small if `exp(I) << N`. If the estimate is near the cap, or the rate is near or
      above it, N instances do not suffice: the true value may be anything from the estimate to
      the rate.

    `standard_error` is the standard error for a sample of instances and their draws: the standard
    deviation of the terms of the N instances over `sqrt(N)`. (The mixture that all instances
    share adds nothing of this order, since the derivative of the second term with respect to the
    weight of an instance is the same for each of them.) For the N given instances, it is an upper
    bound. It does not include the bias.

    The computation takes time in `num_samples N^2 K`, and memory in N to store the amplitudes. It
    processes the pairs of draws and posteriors in squares of `chunk_size`. NumPy generates the
    draws one after another, so that a seed gives the same draws on every backend and with any
    `batch_size` and `chunk_size`.

    Args:
        encoder: Keras model or callable. It takes a batch of x, and returns an amplitude of shape
            `(batch, ..., 2K)` or a `SlashedNormal`, which may have a different prior for each
            instance. All leading axes are equivalent: each of their positions is an instance,
            except where a mask that Keras keeps with the output is False. The prior of an amplitude
            may be any one that is the same for all instances and drops no dimension, since I_q
            depends neither on the prior nor on a rotation after the noise.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        num_samples: Integer. Number of draws from the posterior of each instance.
        batch_size: Integer. Number of rows in one call of the encoder, if x consists of arrays.
        chunk_size: Integer. Number of draws, and of posteriors, in one computation. On backends
            that do not fuse operations, it stores `chunk_size^2 K` numbers.
        seed: Integer or None. Seed of the draws. They are independent of data drawn by
            `np.random.default_rng(seed)`.
        verbose: 0, 1, 2 or "auto". Progress bars of the encoding and of the pairs.

    Returns:
        A `MutualInformationEstimate` with three floats in nats: `estimate`, `standard_error` (NaN
        for a single instance) and `cap`, the largest value that the estimate can have.

    Raises:
        ValueError: If a number is not a positive integer, the latent dimensions of a posterior
            are dependent, or the data are empty, entirely masked, of different lengths, or of an
            unsupported type.

    Example:

    >>> x = 100.0 * np.eye(4, 8)  # posteriors that do not overlap
    >>> estimate = keras_slashed.metrics.mutual_information(lambda x: x, x)
    >>> round(estimate.estimate, 4), round(estimate.cap, 4)
    (1.3863, 1.3863)

    Reference:
        Slashed Normal, Eq. 48; Hoffman and Johnson, ELBO Surgery, 2016.
    """
    check_positive_integer("num_samples", num_samples)
    check_positive_integer("chunk_size", chunk_size)
    parameters = _encode(encoder, x, batch_size, verbose)
    noise = np.random.default_rng(stream_seed("mutual_information", seed))
    mean, log_stddev = np.split(parameters, 2, axis=1)
    count, size = mean.shape
    draws = count * num_samples
    chunk_size = min(chunk_size, draws)
    compiled = Compiled(_own_and_mixed)
    sums = np.zeros(count)
    starts = range(0, draws, chunk_size)
    for start in with_progress(starts, len(starts), verbose):
        owners = np.arange(start, min(start + chunk_size, draws)) // num_samples
        z = noise.standard_normal((len(owners), size))
        z = mean[owners] + np.exp(log_stddev[owners].astype("float64")) * z
        rows = np.concatenate([z.astype("float32"), parameters[owners]], axis=1)
        own, mixed = _log_densities(compiled, rows, parameters, chunk_size)
        np.add.at(sums, owners, own - (mixed - math.log(count)))
    moments = RunningMoments()
    moments.add(sums / num_samples)
    return MutualInformationEstimate(float(moments.mean), moments.standard_error, math.log(count))


def _encode(encoder, x, batch_size, verbose):
    """Return the means and log standard deviations of all instances, joined to (N, 2K)."""

    def parameters(encoded):
        return ops.concatenate(normal_parameters(amplitude_of(encoded)), axis=-1)

    return np.concatenate([*encoded_instances(parameters, encoder, x, batch_size, verbose)])


def _log_densities(compiled, rows, parameters, chunk_size):
    """Return `log q(z|x)` of each row, and the log of the summed densities of all posteriors."""
    length = len(rows)
    mixed = np.full(length, -np.inf)
    rows = filled_up(rows, chunk_size)
    for start in range(0, len(parameters), chunk_size):
        chunk = parameters[start : start + chunk_size]
        log_weights = np.where(np.arange(chunk_size) < len(chunk), 0.0, -np.inf)
        inputs = rows, filled_up(chunk, chunk_size), log_weights.astype("float32")
        own, sums = compiled.predict_on_batch(inputs)
        mixed = np.logaddexp(mixed, sums[:length].astype("float64"))
    return own[:length].astype("float64"), mixed


def _own_and_mixed(inputs):
    rows, parameters, log_weights = inputs
    z, own_mean, own_log_stddev = ops.split(rows, 3, axis=-1)
    mean, log_stddev = ops.split(parameters, 2, axis=-1)
    own = log_densities(z, own_mean, own_log_stddev)
    return own, log_sum_of_densities(z, mean, log_stddev, log_weights)
