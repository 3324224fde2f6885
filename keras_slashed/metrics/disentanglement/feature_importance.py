"""Disentanglement, completeness and informativeness, of Eastwood and Williams."""

import importlib
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_slashed.metrics.disentanglement.bootstrap import standard_error
from keras_slashed.metrics.disentanglement.codes import checked_factors
from keras_slashed.metrics.disentanglement.codes import latent_codes
from keras_slashed.ops.stream_seed import stream_seed
from keras_slashed.validation import check_number
from keras_slashed.validation import check_positive_integer


class DCI(NamedTuple):
    """Estimates of disentanglement, completeness and informativeness.

    Attributes:
        disentanglement: Float from 0 to 1. 1 if each dimension predicts a single factor.
        completeness: Float from 0 to 1. 1 if each factor is predicted from a single dimension.
        informativeness: Float. Mean of `scores`.
        standard_errors: NumPy array of shape `(3,)`. Standard errors of these three numbers by
            the bootstrap.
        importance: NumPy array of shape `(K, F)`. Importance of each latent dimension for the
            prediction of each factor.
        scores: NumPy array of shape `(F,)`. How well each factor is predicted.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    standard_errors: Any
    importance: Any
    scores: Any


def dci(
    encoder,
    x,
    factors,
    representation="mean",
    make_model=None,
    test_share=0.5,
    num_resamples=10,
    batch_size=32,
    seed=None,
    verbose=0,
):
    """Estimate disentanglement, completeness and informativeness (DCI) of a latent.

    For each factor, a model of scikit-learn learns to predict it from the codes. `R_kf` is the
    importance of dimension k for factor f in this model, 0 or more.

    - Disentanglement: `D = sum_k rho_k (1 - H_F(R_k. / sum_f R_kf))`, where `H_F` is the entropy to
      the base F, the number of factors, and `rho_k` is the share of dimension k in the total
      importance. It is 1 if each dimension is important for a single factor. A constant dimension
      is important for no factor and has no weight. For trees, the scale of a dimension has no
      effect, so that a mean counts even if it varies much less than the noise.
    - Completeness: `C = sum_f rho_f (1 - H_K(R_.f / sum_k R_kf))`, where `H_K` is the entropy to
      the base K, the number of dimensions, and `rho_f` is the share of factor f. It is 1 if each
      factor is predicted from a single dimension.
    - Informativeness: mean over factors of the score of the models on instances that they did not
      learn from. With the default models it is the accuracy. (The paper has the error of a
      regression instead.)

    The default model is a random forest of classification trees. Each split considers all
    dimensions: if it had to choose from a random part of them, as by default in scikit-learn,
    unimportant dimensions would get some importance. Numbers of different models must not be
    compared.

    `standard_errors` are the standard deviations over `num_resamples` bootstrap samples. They are
    drawn separately from the instances to learn from and from those to predict, so that none is
    in both. They do not describe differences between models that are trained with different seeds.

    Requires scikit-learn, which is imported when you call the function.

    Args:
        encoder: Keras model or callable. It takes a batch of x, and returns an amplitude of shape
            `(batch, 2K)`, K at least 2, or a distribution of `keras_slashed.distributions`.
        x: Array, nested structure of arrays, or iterable of batches such as a
            `keras.utils.PyDataset`, a `tf.data.Dataset` or a torch `DataLoader`.
        factors: Integer array of shape `(N, F)`. Values of F factors, at least 2, for each
            instance of x.
        representation: String. The code: "mean" for the posterior mean, or "sample" for a draw from
            the posterior, in which noise hides what a dimension knows.
        make_model: Callable or None. It takes an integer, the random state, and returns a model of
            scikit-learn: with `fit`, `score` and, once fitted, `feature_importances_` or `coef_`.
            Absolute values of `coef_` are the importance, summed over classes.
        test_share: Float in (0, 1). Share of the instances that the models do not learn from.
        num_resamples: Integer. Number of bootstrap samples, each of which fits F models.
        batch_size: Integer. Number of rows in one call of the encoder, if x consists of arrays.
        seed: Integer or None. Seed of the division, models and bootstrap samples. They are
            independent of data drawn by `np.random.default_rng(seed)`.
        verbose: 0, 1, 2 or "auto". Progress bar of the encoding.

    Returns:
        A `DCI` with the floats `disentanglement`, `completeness` and `informativeness`, their
        `standard_errors` of shape `(3,)`, `importance` of shape `(K, F)` (of each latent dimension
        for the prediction of each factor) and `scores` of shape `(F,)` (how well each factor is
        predicted).

    Raises:
        ValueError: If an argument is out of range, `factors` is not an integer array with a row
            for each instance, two columns and two values in each of them, or the encoder does
            not return one finite latent of two dimensions for each row, or masks a row.
        ImportError: If scikit-learn is not installed and `make_model` is None.

    Example:

    >>> factors = np.random.default_rng(0).integers(4, size=(500, 2))
    >>> x = np.concatenate([factors, np.zeros((500, 2))], axis=1).astype("float32")
    >>> scores = keras_slashed.metrics.dci(lambda x: x, x, factors, num_resamples=2)
    >>> round(scores.disentanglement, 4), round(scores.completeness, 4), scores.informativeness
    (1.0, 1.0, 1.0)

    Reference:
        Eastwood and Williams, A Framework for the Quantitative Evaluation of Disentangled
        Representations, 2018, section 2.
    """
    check_number("test_share", test_share, above=0, below=1)
    check_positive_integer("num_resamples", num_resamples)
    make_model = make_model or _random_forest()
    rng = np.random.default_rng(stream_seed("dci", seed))
    codes, _ = latent_codes(encoder, x, representation, batch_size, verbose, rng)
    if codes.shape[1] < 2:
        raise ValueError(
            "Completeness requires at least two latent dimensions. "
            f"Received: codes of shape {codes.shape}"
        )
    factors = checked_factors(factors, len(codes), at_least=2)
    order = rng.permutation(len(codes))
    count = min(max(round(test_share * len(codes)), 1), len(codes) - 1)
    test, train = order[:count], order[count:]
    importance, scores = _fit(make_model, codes, factors, train, test, rng)
    resampled = []
    for _ in range(num_resamples):
        parts = (part[rng.integers(len(part), size=len(part))] for part in (train, test))
        resampled.append(_summary(*_fit(make_model, codes, factors, *parts, rng)))
    return DCI(
        *map(float, _summary(importance, scores)), standard_error(resampled), importance, scores
    )


def _random_forest():
    """Return a function of a random state that makes the default model."""
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError as error:
        raise ImportError("`dci` requires scikit-learn: pip install scikit-learn") from error
    return lambda state: ensemble.RandomForestClassifier(
        n_estimators=30, max_features=None, random_state=state
    )


def _fit(make_model, codes, factors, train, test, rng):
    """Return the importance of dimensions for factors, (K, F), and the scores, (F,)."""
    columns, scores = [], []
    for factor in factors.T:
        model = make_model(int(rng.integers(2**31)))
        model.fit(codes[train], factor[train])
        if hasattr(model, "feature_importances_"):
            columns.append(model.feature_importances_)
        else:
            columns.append(np.abs(np.atleast_2d(model.coef_)).sum(axis=0))
        scores.append(model.score(codes[test], factor[test]))
    return np.stack(columns, axis=1), np.array(scores)


def _summary(importance, scores):
    return disentanglement_of(importance), completeness_of(importance), np.mean(scores)


def disentanglement_of(importance):
    """Return the disentanglement of an importance matrix, (K, F), 0 if all are 0."""
    importance = np.asarray(importance, "float64")
    totals = importance.sum(axis=1)
    if totals.sum() == 0:
        return 0.0
    shares = importance / np.where(totals > 0, totals, 1.0)[:, None]
    logs = np.log(np.where(shares > 0, shares, 1.0)) / np.log(importance.shape[1])
    return np.sum(totals / totals.sum() * (1.0 + np.sum(shares * logs, axis=1)))


def completeness_of(importance):
    """Return the completeness of an importance matrix, (K, F), 0 if all are 0."""
    return disentanglement_of(np.asarray(importance).T)
