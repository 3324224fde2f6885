"""The score of Kim and Mnih, the accuracy of a majority vote."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_slashed.metrics.disentanglement.bootstrap import standard_error
from keras_slashed.metrics.disentanglement.codes import checked_factors
from keras_slashed.metrics.disentanglement.codes import latent_codes
from keras_slashed.metrics.disentanglement.codes import values_of
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer


class FactorVAEScore(NamedTuple):
    """An estimate of the FactorVAE score.

    Attributes:
        estimate: Float from 0 to 1. Accuracy of the majority vote.
        standard_error: Float. Standard error of the estimate by the bootstrap.
        votes: NumPy integer array of shape `(K, F)`. How often dimension k varied least while
            factor f was fixed, in the votes that the classifier learned from.
        active: NumPy boolean array of shape `(K,)`. Dimensions that could be voted for.
    """

    estimate: float
    standard_error: float
    votes: Any
    active: Any


def factor_vae_score(
    encoder,
    x,
    factors,
    representation="mean",
    num_votes=800,
    num_samples=200,
    threshold=0.01,
    num_resamples=20,
    batch_size=32,
    seed=None,
    verbose=0,
):
    """Estimate the FactorVAE score between latent dimensions and known factors.

    For each vote, a factor f is drawn, an instance gives it its value, and `num_samples`
    instances with this value are drawn. The vote is for the dimension whose code has the
    smallest variance over these instances, divided by its variance over all data. A
    classifier learns from `num_votes` votes which factor was fixed most often when a dimension
    got a vote. The score is its accuracy for `num_votes` other votes.

    The score is 1 if each factor has a dimension of its own, even if other dimensions depend on
    the same factor. A dimension that depends on several factors lowers it. Guessing has an
    accuracy of `1 / F`. Dimensions whose posterior mean has a variance over all data of at most
    `threshold` are collapsed and get no votes, as in the paper. If all are collapsed, the score is
    0. Among the others, the scale of a dimension has no effect.

    Instances are drawn from the data with replacement, so that x should contain many instances of
    each value. Values of a single instance are not used.

    `standard_error` is the standard deviation of the score over `num_resamples` bootstrap samples
    of the instances, with other votes for each. A dimension that is constant in such a sample gets
    no votes there. The standard error does not describe differences between models that are trained
    with different seeds.

    Args:
        encoder: Keras model or callable. It takes a batch of x, and returns an amplitude of shape
            `(batch, 2K)` or a distribution of `keras_slashed.distributions`.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        factors: Integer array of shape `(N, F)`. Values of F factors, at least 2, for each
            instance of x.
        representation: String. The code: "mean" for the posterior mean, or "sample" for a draw from
            the posterior, in which noise hides what a dimension knows.
        num_votes: Integer. Number of votes to learn from, and number of votes to evaluate.
        num_samples: Integer, at least 2. Number of instances for each vote.
        threshold: Float, 0 or more. A dimension is active if its variance exceeds this.
        num_resamples: Integer. Number of bootstrap samples.
        batch_size: Integer. Number of rows in one call of the encoder, if x consists of arrays.
        seed: Integer or None. Seed of votes and bootstrap samples. They are independent of data
            drawn by `np.random.default_rng(seed)`.
        verbose: 0, 1, 2 or "auto". Progress bar of the encoding.

    Returns:
        A `FactorVAEScore` with `estimate` (a float from 0 to 1), its `standard_error`, `votes` (an
        integer array of shape `(K, F)`: how often dimension k varied least while factor f was
        fixed) and `active` (a boolean array of shape `(K,)`: which dimensions could be voted for).

    Raises:
        ValueError: If an argument is out of range, `factors` is not an integer array with a row
            for each instance, two columns, and in each of these two values and a value that occurs
            twice, or the encoder does not return one finite latent for each row, or masks a row.

    Example:

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> x = np.concatenate([factors, np.zeros((500, 2))], axis=1).astype("float32")
    >>> keras_slashed.metrics.factor_vae_score(lambda x: x, x, factors, seed=0).estimate
    1.0

    Reference:
        Kim and Mnih, Disentangling by Factorising, 2018, section 4.
    """
    check_positive_integer("num_votes", num_votes)
    check_positive_integer("num_samples", num_samples)
    check_number("num_samples", num_samples, minimum=2)
    check_number("threshold", threshold, minimum=0)
    check_positive_integer("num_resamples", num_resamples)
    rng = np.random.default_rng(stream_seed("factor_vae_score", seed))
    codes, means = latent_codes(encoder, x, representation, batch_size, verbose, rng)
    factors = checked_factors(factors, len(codes), at_least=2)
    _check_shared_values(factors)
    active = means.var(axis=0) > threshold
    votes = np.zeros((codes.shape[1], factors.shape[1]), "int64")
    if not active.any():
        return FactorVAEScore(0.0, 0.0, votes, active)
    codes = codes[:, active]
    score, votes[active] = _score(codes, factors, num_votes, num_samples, rng)
    resampled = []
    for _ in range(num_resamples):
        chosen = rng.integers(len(codes), size=len(codes))
        part = codes[chosen], factors[chosen]
        resampled.append(_score(*part, num_votes, num_samples, rng)[0])
    return FactorVAEScore(score, float(standard_error(resampled)), votes, active)


def _score(codes, factors, num_votes, num_samples, rng):
    """Return the score, and the votes (K, F) that the classifier learned from.

    Constant dimensions get no votes. A resample may lack the few instances in which one varies.
    """
    votes = np.zeros((codes.shape[1], factors.shape[1]), "int64")
    varies = np.ptp(codes, axis=0) > 0
    if not varies.any():
        return 0.0, votes
    codes = codes[:, varies] / codes[:, varies].std(axis=0)
    groups = [_Groups(factor) for factor in factors.T]
    learned, others = (_votes(codes, groups, num_votes, num_samples, rng) for _ in range(2))
    guesses = learned.argmax(axis=1)
    right = others[np.arange(len(guesses)), guesses].sum()
    votes[varies] = learned
    return float(right / others.sum()), votes


def _votes(codes, groups, num_votes, num_samples, rng):
    """Return how often dimension k varied least while factor f was fixed, (K, F)."""
    table = np.zeros((codes.shape[1], len(groups)), "int64")
    counts = np.bincount(rng.integers(len(groups), size=num_votes), minlength=len(groups))
    for column, (of_factor, count) in enumerate(zip(groups, counts)):
        chosen = of_factor.draw(count, num_samples, rng)
        least = codes[chosen].var(axis=1).argmin(axis=1)
        table[:, column] = np.bincount(least, minlength=codes.shape[1])
    return table


class _Groups:
    """The instances of each value of a factor, without values that occur only once."""

    def __init__(self, factor):
        _, self._values = values_of(factor)
        self._sizes = np.bincount(self._values)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._order = np.argsort(self._values, kind="stable")
        self._shared = np.flatnonzero(self._sizes[self._values] > 1)

    def draw(self, count, num_samples, rng):
        """Return indices of instances, (count, num_samples), with one value in each row."""
        value = self._values[rng.choice(self._shared, size=count)][:, None]
        places = np.floor(rng.random((count, num_samples)) * self._sizes[value]).astype("int64")
        return self._order[self._starts[value] + places]


def _check_shared_values(factors):
    counts = [values_of(factor)[0] for factor in factors.T]
    alone = [column for column, count in enumerate(counts) if count == len(factors)]
    if alone:
        raise ValueError(
            "Each column of argument `factors` must have a value that several instances share. "
            f"Received: a different value for each instance in columns {alone}"
        )
