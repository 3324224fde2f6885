"""The mutual information of data and latents, over a data set."""

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
from keras_slashed.metrics.posterior import encoded_batches
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_positive_integer


class MutualInformationEstimate(NamedTuple):
    """An estimate of a mutual information, in nats.

    Attributes:
        estimate: The estimate, at most `cap` (to rounding).
        standard_error: Its standard error.
        cap: `log N`, which no estimate from N instances exceeds.
    """

    estimate: float
    standard_error: float
    cap: float


def mutual_information(
    encoder, x, num_samples=1, batch_size=32, chunk_size=512, seed=None, verbose=0
):
    """Estimate the mutual information of data and latents, in nats, by Monte Carlo.

    `I_q = E_x KL(q(z|x) || p(z)) - KL(q(z) || p(z))
         = E_x E_{z ~ q(z|x)} [log q(z|x) - log q(z)]`, with the aggregated posterior
    `q(z) = 1/N sum_j q(z|x_j)`, a mixture over the N instances of the data. The prior
    cancels. Eq. 48 is the rate minus `KL(q(z) || p(z))`, so the rate is an upper bound.

    What the number says depends on the cap, `log N`: an instance is one of N.

    - Of these N instances, each drawn with probability 1/N, it is an unbiased
      estimate, with z alone as what is random.
    - Of a population that the instances are a sample from, it is on average too low:
      the posterior of an instance is in its own mixture. The bias falls as `1/N` and
      is small where `exp(I) << N`. With an estimate near the cap, or a rate near or
      above it, N instances cannot tell, and the truth may be anything from there up
      to the rate.

    `standard_error` is that of a sample of instances and of their draws: the
    deviation of the N instances' terms over `sqrt(N)`. (That all instances share the
    mixture adds nothing of this order: the derivative of the second term by one
    instance's weight is the same for each.) For the N instances as they are, it is
    too large, an upper bound. It knows nothing of the bias.

    Time grows as `num_samples N^2 K`, memory as N, to keep the amplitudes: the pairs
    of draws and posteriors are visited in squares of `chunk_size`. The draws come
    from NumPy, one after another: a seed gives the same ones on every backend and
    with any `batch_size` and `chunk_size`.

    Args:
        encoder: A Keras model or any callable, from a batch of x to an amplitude of
            shape `(batch, ..., 2K)`, whose leading axes are all alike instances; or to
            a `SlashedNormal`, with a prior of its own for each instance. An
            amplitude's prior may be anything, as long as it is the same for all
            instances and drops no dimension: I_q does not depend on it, nor on a
            rotation after the noise.
        x: The data: arrays in any nested structure, or an iterable of batches as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        num_samples: Draws from the posterior of each instance.
        batch_size: Rows in one call of the encoder, where x is arrays.
        chunk_size: Draws, and posteriors, in one computation: it holds
            `chunk_size^2 K` numbers on backends that do not fuse.
        seed: Integer seed of the draws, or None. They are independent of data drawn by
            `np.random.default_rng(seed)`.
        verbose: 0, 1, 2 or "auto", for a progress bar of the encoding and one of the
            pairs.

    Returns:
        A `MutualInformationEstimate`: `estimate`, `standard_error` (NaN for a single
        instance) and `cap`.

    Raises:
        ValueError: A number that is not a positive integer, a posterior with
            dependent latent dimensions, or data that are empty, of different
            lengths, or no data.

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
    """Return means beside logarithms of deviations of all instances, (N, 2K)."""

    def parameters(encoded):
        return ops.concatenate(normal_parameters(amplitude_of(encoded)), axis=-1)

    encoded = encoded_batches(parameters, encoder, x, batch_size, verbose)
    return np.concatenate([batch.reshape(-1, batch.shape[-1]) for batch in encoded])


def _log_densities(compiled, rows, parameters, chunk_size):
    """Return log q(z|x) of each row and the logarithm of the sum over all normals of theirs."""
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
