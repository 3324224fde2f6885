"""The importance-weighted negative log-likelihood, as a metric and as a function of a data set."""

import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.instance_noise import InstanceNoise
from keras_slashed.evaluation.masks import mask_of
from keras_slashed.evaluation.masks import with_mask
from keras_slashed.evaluation.moments import RunningMoments
from keras_slashed.metrics.posterior import check_any_instance
from keras_slashed.metrics.posterior import check_rows
from keras_slashed.metrics.posterior import counts_of
from keras_slashed.metrics.posterior import draws_of
from keras_slashed.metrics.posterior import mask_of_encoded
from keras_slashed.metrics.posterior import noise_like
from keras_slashed.metrics.posterior import output_of
from keras_slashed.metrics.posterior import posterior_of
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.metrics.sample_weight import without_unweighted
from keras_slashed.one_tensor import check_one_tensor
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_float_tensor
from keras_slashed.ops.mean_square import unmasked
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_positive_integer
from keras_slashed.validation import may_be_same_shape


class NLLEstimate(NamedTuple):
    """An estimate of the mean negative log-likelihood of an instance, in nats.

    Attributes:
        estimate: Float. Mean over the instances.
        standard_error: Float. Standard error of the mean, where the instances are a sample.
        values: NumPy array of shape `(N,)`, or None. Estimates of the single instances, NaN for
            rows that a mask excludes.
    """

    estimate: float
    standard_error: float
    values: Any = None


@keras.saving.register_keras_serializable(package="keras_slashed")
class ImportanceWeightedNLL(keras.metrics.Mean):
    """The mean of `-log 1/S sum_s w_s`, computed from logarithms of importance weights.

    With `w_s = p(x|z_s) p(z_s) / q(z_s|x)` and draws `z_s` of q, it is an upper bound, on
    average, of the negative log-likelihood of an instance in nats. It decreases to the negative
    log-likelihood as S grows. If the draws do not fit into one batch, use the function
    `keras_slashed.metrics.importance_weighted_nll`. `keras_slashed.metrics.Rate` describes where
    to use the metric.

    Args:
        name: String. Name of the metric.
        dtype: String or None. Dtype of the result.

    Call arguments:
        log_weights: Float tensor of shape `(batch, ..., S)`, with all draws of each instance.
        sample_weight: Float or boolean tensor of shape `(batch, ...)`, or of the first axes of
            that shape. Weights or a mask. Values with a weight of 0 may be arbitrary. Where a mask
            that Keras keeps with the logarithms is False, the weight is 0.

    Raises:
        ValueError: If `log_weights` has no axis of draws, or the shape of `sample_weight` does
            not fit.

    Example:

    >>> metric = keras_slashed.metrics.ImportanceWeightedNLL()
    >>> metric.update_state([[-2.0, -2.0], [-3.0, -3.0]])
    >>> float(metric.result())
    2.5

    Reference:
        Burda et al., Importance Weighted Autoencoders, 2015, Eq. 8.
    """

    def __init__(self, name="importance_weighted_nll", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, log_weights, sample_weight=None):
        check_one_tensor("log_weights", log_weights)
        mask = mask_of(log_weights)
        log_weights = at_least_float32(to_float_tensor(log_weights))
        _check_log_weights_shape(log_weights.shape)
        draws = log_weights.shape[-1]
        values = math.log(draws) - ops.logsumexp(log_weights, axis=-1)
        weights = weights_of(sample_weight, values, mask)
        values = without_unweighted(values, weights)
        super().update_state(ops.reshape(values, (-1,)), ops.reshape(weights, (-1,)))


def importance_weighted_nll(
    encoder,
    log_likelihood,
    x,
    num_samples=100,
    batch_size=32,
    chunk_size=10,
    seed=None,
    return_values=False,
    verbose=0,
):
    """Estimate the mean negative log-likelihood of an instance by importance sampling.

    `-log p(x) <= -E log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x)` with S draws `z_s` of the posterior
    q of x. With S = 1, the right side is the negative ELBO. It decreases to the left side as S
    grows, and equals it for any S if q is the true posterior. The function processes the draws of
    a few instances in chunks, so that memory grows neither with S nor with the data. The encoder
    runs once for each chunk.

    Where a mask that Keras keeps with the output of the encoder is False, the position is not a
    part of the latent: z is a draw from the prior there and adds nothing to the weights. If the
    mask has an axis of positions, z carries it, and a decoder that supports masking receives it.
    `log_likelihood` must leave out padding itself. A row without any other position is no instance.

    Args:
        encoder: Keras model or callable. It takes a batch of x. It returns an amplitude of shape
            `(batch, ..., 2K)` with a standard normal prior, or a distribution of
            `keras_slashed.distributions` with its own prior, in float32. The axes in the middle
            are independent parts of the latent of one instance.
        log_likelihood: Keras model or callable. It takes `(x, z)` and returns `log p(x|z)`, one
            number for each row. Here x has the structure of the data with repeated rows, and z
            has one draw for each row, of shape `(rows, ..., K)`. The number of rows is
            `batch_size * chunk_size`. On JAX, the weights of a model are constants of the
            compiled function unless the model is `encoder` or `log_likelihood` itself, or one of
            these is its method. Compilation then takes longer.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        num_samples: Integer. Number S of draws for each instance.
        batch_size: Integer. Number of instances in one computation, if x consists of arrays.
        chunk_size: Integer. Number of draws of each instance in one computation.
        seed: Integer or None. Seed of the draws. NumPy generates them, so that a seed gives the
            same draws on every backend and with any `batch_size` and `chunk_size`. They are
            independent of data drawn by `np.random.default_rng(seed)`.
        return_values: Boolean. Whether to also return the estimate of each instance.
        verbose: 0, 1, 2 or "auto". Progress bar.

    Returns:
        An `NLLEstimate` in nats, with the floats `estimate` and `standard_error` (over instances,
        NaN for a single one), and `values`, an array of shape `(N,)` (None unless
        `return_values=True`). Weights are added in float64.

    Raises:
        ValueError: If a number is not a positive integer, the encoder does not return one row
            for each row of x, the log-likelihood is not one number for each row, or the data are
            empty, entirely masked, of different lengths, or of an unsupported type.

    Example:

    >>> def log_likelihood(x, z):  # N(x; z, 1)
    ...     return -0.5 * keras.ops.sum((x - z) ** 2 + np.log(2 * np.pi), axis=-1)
    >>> x = np.random.default_rng(0).normal(size=(50, 1)) * 2**0.5
    >>> encoder = lambda x: keras_slashed.ops.normal_to_amplitude(x / 2, 0.5**0.5)
    >>> nll = keras_slashed.metrics.importance_weighted_nll(encoder, log_likelihood, x, 4)
    >>> bool(abs(nll.estimate - np.mean(x**2 / 4 + np.log(4 * np.pi) / 2)) < 1e-5)
    True

    Reference:
        Burda et al., Importance Weighted Autoencoders, 2015, Eq. 8; Slashed Normal,
        appendix F.2.
    """
    check_positive_integer("num_samples", num_samples)
    check_positive_integer("chunk_size", chunk_size)
    chunk_size = min(chunk_size, num_samples)
    seed = stream_seed("importance_weighted_nll", seed)

    def log_weights(inputs):
        return _log_weights(encoder, log_likelihood, *inputs)

    compiled = Compiled(log_weights, [encoder, log_likelihood])
    layout = Compiled(lambda batch: _noise_and_counts(encoder, batch), [encoder])
    moments, values, seen = RunningMoments(), [], 0
    for batch, length in padded_batches(x, batch_size, verbose):
        zeros, counts = layout.predict_on_batch(batch)
        check_rows(np.shape(counts), batch)
        counts = counts[:length]
        noise = InstanceNoise(seed, range(seen, seen + length), zeros.shape)
        seen += length
        log_sums = np.full(length, -np.inf)
        for start in range(0, num_samples, chunk_size):
            count = min(chunk_size, num_samples - start)
            inputs = batch, noise.draw(count, chunk_size)
            weights = compiled.predict_on_batch(inputs)[:length, :count].astype("float64")
            log_sums = np.logaddexp(log_sums, np.logaddexp.reduce(weights, axis=1))
        batch_values = np.where(counts, math.log(num_samples) - log_sums, np.nan)
        if counts.any():
            moments.add(batch_values[counts])
        if return_values:
            values.append(batch_values)
    check_any_instance(moments.count)
    return NLLEstimate(
        float(moments.mean),
        moments.standard_error,
        np.concatenate(values) if return_values else None,
    )


def _posterior_and_mask(encoder, batch):
    """Return the posterior, which is the prior where Keras' mask is False, and the mask or None."""
    encoded = output_of("encoder", encoder, batch)
    posterior, mask = posterior_of(encoded), mask_of_encoded(encoded)
    if mask is not None:
        amplitude = posterior.amplitude
        amplitude = unmasked(amplitude, counts_of(amplitude[..., 0], mask))
        posterior = posterior.with_amplitude(amplitude)
    return posterior, mask


def _noise_and_counts(encoder, batch):
    """Return zeros of the shape of the noise for one draw, and which rows have an instance."""
    posterior, mask = _posterior_and_mask(encoder, batch)
    noise = noise_like(posterior)
    counts = counts_of(noise[..., 0], mask)
    if len(counts.shape) > 1:
        counts = ops.any(counts, axis=list(range(1, len(counts.shape))))
    return noise, counts


def _log_weights(encoder, log_likelihood, batch, noise):
    """Return `log p(x|z) + log p(z) - log q(z|x)`, (n, S), for noise (n, S, ..., K)."""
    posterior, mask = _posterior_and_mask(encoder, batch)
    count = noise.shape[1]
    z = draws_of(posterior, ops.moveaxis(noise, 1, -2))
    log_ratio = posterior.prior_log_prob(z) - posterior.log_prob(z)
    if len(log_ratio.shape) > 2:
        log_ratio = ops.sum(log_ratio, axis=list(range(1, len(log_ratio.shape) - 1)))
    z = ops.moveaxis(z, -2, 1)
    z = ops.reshape(z, (-1, *z.shape[2:]))
    # A mask of rows says nothing to a decoder, and Keras would warn of one that takes no mask.
    if mask is not None and len(mask.shape) > 1:
        z = with_mask(z, ops.repeat(mask, count, axis=0))
    repeated = tree.map_structure(lambda leaf: ops.repeat(leaf, count, axis=0), batch)
    log_probability = output_of("log_likelihood", log_likelihood, repeated, z)
    _check_log_likelihood_shape(log_probability.shape, z.shape)
    log_probability = ops.reshape(log_probability, (-1, count))
    return ops.cast(log_probability, log_ratio.dtype) + log_ratio


def _check_log_weights_shape(shape):
    """Raise a ValueError unless a shape has an axis of instances and a known number of draws."""
    if len(shape) < 2 or not shape[-1]:
        raise ValueError(
            "Argument `log_weights` must have the shape (batch, ..., S), with a known number S of "
            f"draws for each instance. Received: log_weights.shape={tuple(shape)}"
        )


def _check_log_likelihood_shape(shape, z_shape):
    """Raise a ValueError unless a log-likelihood is one number for each row of z."""
    if not may_be_same_shape(shape, z_shape[:1]):
        raise ValueError(
            "`log_likelihood(x, z)` must return one number for each row of z, of shape "
            f"{tuple(z_shape)}. Received: a tensor of shape {tuple(shape)}"
        )
