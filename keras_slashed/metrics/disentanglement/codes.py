"""The latent codes of a data set, and the factors that they are compared with."""

import keras
import numpy as np
from keras import ops

from keras_slashed.metrics.pairs import normal_parameters
from keras_slashed.metrics.posterior import amplitude_of
from keras_slashed.metrics.posterior import encoded_batches
from keras_slashed.metrics.posterior import posterior_of
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.validation import check_choice

REPRESENTATIONS = ("mean", "sample")


def posterior_means(encoder, x, batch_size, verbose):
    """Return the posterior mean of each instance, (N, K), in float64."""

    def means(encoded):
        return at_least_float32(posterior_of(encoded).mean)

    return _codes(means, encoder, x, batch_size, verbose)


def latent_codes(encoder, x, representation, batch_size, verbose, rng):
    """Return the codes of all instances and their posterior means, two arrays (N, K).

    The codes are these means, or draws from the posteriors.
    """
    check_choice("representation", representation, REPRESENTATIONS)
    if representation == "mean":
        mean = posterior_means(encoder, x, batch_size, verbose)
        return mean, mean
    mean, log_stddev = means_and_log_stddevs(encoder, x, batch_size, verbose)
    return mean + np.exp(log_stddev) * rng.standard_normal(mean.shape), mean


def means_and_log_stddevs(encoder, x, batch_size, verbose):
    """Return means and log standard deviations of all posteriors, two arrays (N, K) in float64.

    They are relative to the prior N(0, 1), which does not change the information of a dimension.
    """

    def parameters(encoded):
        return ops.concatenate(normal_parameters(amplitude_of(encoded)), axis=-1)

    return np.split(_codes(parameters, encoder, x, batch_size, verbose), 2, axis=1)


def _codes(function, encoder, x, batch_size, verbose):
    batches = zip(*encoded_batches(function, encoder, x, batch_size, verbose))
    codes, counts = map(np.concatenate, batches)
    if codes.ndim != 2:
        raise ValueError(
            "A measure of disentanglement requires one latent for each row of x: an amplitude of "
            f"shape (batch, 2K). Received: codes of shape (batch, {str(codes.shape[1:])[1:]}"
        )
    if not counts.all():
        rows = np.flatnonzero(~counts)
        raise ValueError(
            "A measure of disentanglement compares each row of x with its factors. Leave out the "
            "rows that the encoder masks, of `x` and of `factors`. Received: a mask that Keras "
            f"keeps with the amplitudes and excludes {len(rows)} rows, of which the first is "
            f"{rows[0]}"
        )
    if not np.isfinite(codes).all():
        rows = np.flatnonzero(~np.isfinite(codes).all(axis=1))
        raise ValueError(
            "The encoder must return finite amplitudes. "
            f"Received: NaN or infinity in {len(rows)} rows, of which the first is {rows[0]}"
        )
    return codes.astype("float64")


def checked_factors(factors, count, at_least=1):
    """Return factors as an integer array (N, F).

    Args:
        factors: Integer array. The factors as a user gave them.
        count: Integer. Number N of instances.
        at_least: Integer. Smallest number F of factors that the measure is defined for.

    Raises:
        ValueError: If it is not an integer array (N, F), or a factor has only one value.
    """
    if ops.is_tensor(factors):
        factors = keras.ops.convert_to_numpy(factors)
    factors = np.asarray(factors)
    if not np.issubdtype(factors.dtype, np.integer) or factors.ndim != 2:
        raise ValueError(
            "Argument `factors` must be an integer array of shape (N, F), with a column for each "
            f"factor. Received: an array of shape {factors.shape} and dtype {factors.dtype}"
        )
    if len(factors) != count or factors.shape[1] < at_least:
        raise ValueError(
            f"Argument `factors` must have a row for each of the {count} instances, and at least "
            f"{at_least} columns. Received: factors.shape={factors.shape}"
        )
    constant = [column for column, f in enumerate(factors.T) if (f == f[0]).all()]
    if constant:
        raise ValueError(
            "Each column of argument `factors` must have at least two different values. "
            f"Received: only one value in columns {constant}"
        )
    return factors


def values_of(factor):
    """Return the number of values of a factor, and the index of the value of each instance."""
    values, indices = np.unique(factor, return_inverse=True)
    return len(values), indices.reshape(-1)
