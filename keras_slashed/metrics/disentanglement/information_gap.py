"""The mutual information gap of Chen et al."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_slashed.metrics.disentanglement.bootstrap import bootstrap_weights
from keras_slashed.metrics.disentanglement.bootstrap import standard_error
from keras_slashed.metrics.disentanglement.codes import REPRESENTATIONS
from keras_slashed.metrics.disentanglement.codes import checked_factors
from keras_slashed.metrics.disentanglement.codes import means_and_log_stddevs
from keras_slashed.metrics.disentanglement.codes import posterior_means
from keras_slashed.metrics.disentanglement.codes import values_of
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_positive_integer

_CHUNK = 512  # draws in one computation


class MutualInformationGap(NamedTuple):
    """An estimate of the mutual information gap.

    Attributes:
        estimate: Float from 0 to 1. Mean of `gaps`.
        standard_error: Float. Standard error of the estimate by the bootstrap.
        gaps: NumPy array of shape `(F,)`. Gap of each factor.
        information: NumPy array of shape `(K, F)`. Mutual information of each latent dimension
            and factor in nats.
        entropies: NumPy array of shape `(F,)`. Entropy of each factor in nats.
    """

    estimate: float
    standard_error: float
    gaps: Any
    information: Any
    entropies: Any


def mutual_information_gap(
    encoder,
    x,
    factors,
    representation="mean",
    num_bins=20,
    num_resamples=100,
    batch_size=32,
    seed=None,
    verbose=0,
):
    """Estimate the mutual information gap (MIG) between latent dimensions and known factors.

    `MIG = 1/F sum_f (I(z_j; v_f) - max_{k != j} I(z_k; v_f)) / H(v_f)`, where j is the dimension
    with the largest mutual information with factor f. It is 1 if each factor is known exactly
    from one dimension and no other dimension has any information about it, and 0 if for every
    factor two dimensions have the same information. It does not require that a dimension
    belongs to only one factor. Constant dimensions have no information and thus no effect. A latent
    with a single dimension has a second largest information of 0.

    Two estimators of `I(z_k; v_f)` are available:

    - "mean" takes the posterior mean as z, divides the range of each dimension into `num_bins`
      bins of equal width, and inserts the frequencies of bins and values into the formula of the
      mutual information. The result depends on the number of bins. With B bins, V values and N
      independent instances, it is too high by about `(B - 1)(V - 1) / (2N)` nats, for all
      dimensions alike, so that most of this is absent from the gap. This is the estimator of
      Locatello et al. (2019), and of most published numbers since.
    - "sample" takes a draw from each posterior as z. The densities `q(z_k)` and `q(z_k | v_f)`
      are the mixtures of the posteriors of all instances, or of those with the same value, and
      `I = E log q(z_k | v_f) - E log q(z_k)`. This is the definition of Chen et al. It counts the
      noise of the posterior, and has no bins. Each instance is part of its own mixture. The result
      is therefore too high unless the posterior of an instance overlaps with those of many
      others, and if no two overlap, each dimension seems to know every factor. The computation
      takes time in `N^2 K num_resamples`.

    `standard_error` is the standard deviation of the estimate over `num_resamples` bootstrap
    samples of the instances. It describes the choice of the instances, and not differences between
    models that are trained with different seeds.

    Args:
        encoder: Keras model or callable. It takes a batch of x, and returns an amplitude of shape
            `(batch, 2K)` or a distribution of `keras_slashed.distributions`.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        factors: Integer array of shape `(N, F)`. Values of F factors for each instance of x.
        representation: String. "mean" or "sample".
        num_bins: Integer. Number of bins of each dimension, for "mean".
        num_resamples: Integer. Number of bootstrap samples.
        batch_size: Integer. Number of rows in one call of the encoder, if x consists of arrays.
        seed: Integer or None. Seed of draws and bootstrap samples. They are independent of data
            drawn by `np.random.default_rng(seed)`.
        verbose: 0, 1, 2 or "auto". Progress bar of the encoding.

    Returns:
        A `MutualInformationGap` with `estimate` (a float, the mean of the gaps), its
        `standard_error`, `gaps` of shape `(F,)`, `information` of shape `(K, F)` in nats (between
        each latent dimension and each factor) and `entropies` of shape `(F,)` in nats.

    Raises:
        ValueError: If an argument is out of range, `factors` is not an integer array with a row
            for each instance and two values in each column, or the encoder does not return one
            finite latent for each row, or masks a row.

    Example:

    >>> factors = np.random.default_rng(0).integers(4, size=(2000, 2))
    >>> x = np.concatenate([factors, np.zeros((2000, 2))], axis=1).astype("float32")
    >>> gap = keras_slashed.metrics.mutual_information_gap(lambda x: x, x, factors)
    >>> bool(gap.estimate > 0.99)
    True

    Reference:
        Chen et al., Isolating Sources of Disentanglement in Variational Autoencoders, 2018,
        Eq. 6; Locatello et al., Challenging Common Assumptions in the Unsupervised Learning of
        Disentangled Representations, 2019.
    """
    check_choice("representation", representation, REPRESENTATIONS)
    check_positive_integer("num_bins", num_bins)
    check_positive_integer("num_resamples", num_resamples)
    rng = np.random.default_rng(stream_seed("mutual_information_gap", seed))
    if representation == "mean":
        codes = posterior_means(encoder, x, batch_size, verbose)
        factors = checked_factors(factors, len(codes))
        weights = bootstrap_weights(len(codes), num_resamples, rng)
        information = _information_of_bins(_bins(codes, num_bins), factors, num_bins, weights)
    else:
        mean, log_stddev = means_and_log_stddevs(encoder, x, batch_size, verbose)
        factors = checked_factors(factors, len(mean))
        z = mean + np.exp(log_stddev) * rng.standard_normal(mean.shape)
        weights = np.stack([*bootstrap_weights(len(mean), num_resamples, rng)], axis=1)
        information = _information_of_draws(z, mean, log_stddev, factors, weights)
    information, entropies = information
    gaps = _gaps(information, entropies)
    return MutualInformationGap(
        float(gaps[0].mean()),
        float(standard_error(gaps[1:].mean(axis=1))),
        gaps[0],
        information[0],
        entropies[0],
    )


def _gaps(information, entropies):
    """Return the gap of each factor, (R, F), from (R, K, F) and (R, F)."""
    nothing = np.zeros_like(information[:, :1])  # the second largest, if K = 1
    ordered = np.sort(np.concatenate([nothing, information], axis=1), axis=1)
    first, second = ordered[:, -1], ordered[:, -2]
    # A small resample may contain only one value of a factor.
    return (first - second) / np.where(entropies > 0, entropies, np.inf)


def _bins(codes, num_bins):
    """Return the bin of each code. A constant dimension has all its codes in one bin."""
    low = codes.min(axis=0)
    width = (codes.max(axis=0) - low) / num_bins
    shares = (codes - low) / np.where(width > 0, width, np.inf)
    return np.minimum(shares.astype("int64"), num_bins - 1)


def _information_of_bins(bins, factors, num_bins, weights):
    """Return the mutual information of bins and factors, (R, K, F), and the entropies, (R, F)."""
    factors = [values_of(factor) for factor in factors.T]
    cells = [[bin * size + value for size, value in factors] for bin in bins.T]
    information, entropies = [], []
    for weight in weights:
        tables = [
            [
                np.bincount(cell, weight, num_bins * size).reshape(num_bins, size)
                for cell, (size, _) in zip(of_dimension, factors)
            ]
            for of_dimension in cells
        ]
        information.append([[_information_of_table(table) for table in row] for row in tables])
        entropies.append([_entropy(table.sum(axis=0)) for table in tables[0]])
    return np.array(information), np.array(entropies)


def _information_of_table(table):
    rows, columns = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    return max(rows + columns - _entropy(table), 0.0)  # rounding may make it negative


def _entropy(counts):
    """Return the entropy of counts over their last axes in nats."""
    shares = counts[counts > 0] / counts.sum()
    return -np.sum(shares * np.log(shares))


def _information_of_draws(z, mean, log_stddev, factors, weights):
    """Return the mutual information of draws and factors, (R, K, F), and the entropies, (R, F).

    Args:
        z: Float array (N, K). A draw from each posterior.
        mean: Float array (N, K). Means of the posteriors.
        log_stddev: Float array (N, K). Logarithms of their standard deviations.
        factors: Integer array (N, F).
        weights: Float array (N, R). Weights of the instances in R samples.
    """
    total = weights.sum(axis=0)
    shape = weights.shape[1], z.shape[1], factors.shape[1]
    information, entropies = np.zeros(shape), np.zeros((shape[0], shape[2]))
    everyone = [np.arange(len(z))]
    mixed = _log_mixtures(z, mean, log_stddev, weights, everyone)
    for column, factor in enumerate(factors.T):
        size, value = values_of(factor)
        groups = [np.flatnonzero(value == index) for index in range(size)]
        known = _log_mixtures(z, mean, log_stddev, weights, groups)
        counts = np.stack([weights[group].sum(axis=0) for group in groups])
        entropies[:, column] = [_entropy(one) for one in counts.T]
        # The entropy is what divides the mixtures by their total weights.
        difference = (known - mixed) / total[:, None] + entropies[:, column][:, None]
        information[:, :, column] = np.maximum(difference, 0.0)
    return information, entropies


def _log_mixtures(z, mean, log_stddev, weights, groups):
    """Return `sum_i w_i log sum_j w_j q_j(z_i)`, (R, K), over the instances j of the group of i."""
    result = np.zeros((weights.shape[1], z.shape[1]))
    for group in groups:
        for start in range(0, len(group), _CHUNK):
            rows = group[start : start + _CHUNK]
            for k in range(z.shape[1]):
                # Finite, since 0 times the infinite reciprocal of a tiny deviation would be NaN.
                reciprocal = np.exp(np.minimum(-log_stddev[group, k], 700.0))
                scaled = (z[rows, k][:, None] - mean[group, k]) * reciprocal
                scaled = np.clip(scaled, -(2.0**60), 2.0**60)
                log_densities = -0.5 * scaled**2 - log_stddev[group, k]
                highest = log_densities.max(axis=1, keepdims=True)
                sums = np.exp(log_densities - highest) @ weights[group]
                # An instance with weight 0 does not count, even if no other one is near it.
                logs = highest + np.log(np.where(sums > 0, sums, 1.0))
                result[:, k] += np.sum(weights[rows] * logs, axis=0)
    return result
