import numpy as np
import pytest
import scipy.stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from keras_slashed.metrics import dci
from keras_slashed.metrics.disentanglement.feature_importance import completeness_of
from keras_slashed.metrics.disentanglement.feature_importance import disentanglement_of
from tests.keras_slashed.metrics.disentanglement.codes import amplitudes
from tests.keras_slashed.metrics.disentanglement.codes import centered
from tests.keras_slashed.metrics.disentanglement.codes import noise
from tests.keras_slashed.metrics.disentanglement.codes import rotated
from tests.keras_slashed.metrics.disentanglement.codes import same
from tests.keras_slashed.metrics.disentanglement.codes import some_factors
from tests.support import run_python

FACTORS = some_factors(400)
CODES = centered(FACTORS)


def tree(state):
    return DecisionTreeClassifier(random_state=state)


def scores(codes, factors=FACTORS, imaginary=-1.3, **options):
    options = {"make_model": tree, "num_resamples": 2, "batch_size": 200, "seed": 0, **options}
    return dci(same, amplitudes(codes, imaginary), factors, **options)


FIVE = np.diag(np.full(5, 5.0))
# Importance matrices, disentanglement and completeness that the tests of disentanglement_lib
# (Locatello et al. 2019) have.
PUBLISHED = [
    (FIVE, 1.0, 1.0),
    ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 1.0, 1.0),
    (np.zeros((10, 10)), 0.0, 0.0),
    (np.vstack([FIVE, FIVE]), 1.0, 1 - np.log(2) / np.log(10)),
    (FIVE[:2], 1.0, 1.0),
    (np.hstack([FIVE, FIVE]), 1 - np.log(2) / np.log(10), 1.0),
]


@pytest.mark.parametrize(("importance", "disentanglement", "completeness"), PUBLISHED)
def test_published_values(importance, disentanglement, completeness):
    np.testing.assert_allclose(disentanglement_of(importance), disentanglement, atol=1e-12)
    np.testing.assert_allclose(completeness_of(importance), completeness, atol=1e-12)


def test_against_scipy():
    importance = np.random.default_rng(0).gamma(0.5, size=(7, 4))
    rows, columns = importance.sum(axis=1), importance.sum(axis=0)
    of_rows = 1 - scipy.stats.entropy(importance, axis=1, base=4)
    of_columns = 1 - scipy.stats.entropy(importance, axis=0, base=7)
    computed = disentanglement_of(importance), completeness_of(importance)
    expected = rows @ of_rows / rows.sum(), columns @ of_columns / columns.sum()
    np.testing.assert_allclose(computed, expected)


def test_factors_as_latent():
    """With the default forest, next to noise and to dimensions that are collapsed."""
    codes = np.concatenate([CODES, np.zeros((400, 1)), noise(400, 1)], axis=1)
    computed = scores(codes, make_model=None)
    np.testing.assert_allclose(computed[:2], 1.0, atol=1e-3)
    assert computed.informativeness == 1.0
    np.testing.assert_allclose(computed.importance[:3], np.eye(3), atol=1e-3)
    np.testing.assert_array_equal(computed.importance[3], 0.0)
    assert computed.standard_errors.max() < 1e-3


def test_draws():
    """A mean far below the noise predicts a factor; a draw from its posterior does not."""
    codes = CODES * [0.05, 1.0, 1.0]
    means, drawn = (
        scores(codes, imaginary=-0.5, representation=choice) for choice in ("mean", "sample")
    )
    np.testing.assert_allclose(means.scores, 1.0)
    assert drawn.scores[0] < 0.45
    np.testing.assert_array_equal(drawn.scores < means.scores, True)
    assert drawn.importance[0, 0] < 0.6 < 0.99 < means.importance[0, 0]


def test_one_of_three_is_missing():
    """Disentangled and complete in what is there; the rest is not informative."""
    codes = np.concatenate([CODES[:, :2], noise(400, 1)], axis=1)
    computed = scores(codes)
    np.testing.assert_allclose(computed.scores[:2], 1.0)
    assert computed.scores[2] < 0.35
    np.testing.assert_allclose(computed.informativeness, computed.scores.mean())


def test_rotation_and_noise():
    turned = scores(rotated(CODES))
    assert turned.disentanglement < 0.5
    assert turned.completeness < 0.5
    absent = scores(noise(400, 4))
    assert absent.disentanglement < 0.1
    assert absent.completeness < 0.1
    assert absent.informativeness < np.mean([1 / 3, 1 / 4, 1 / 5]) + 0.08


def test_two_dimensions_for_each_factor():
    """Complete is what a single dimension predicts, disentangled also what several do."""
    halves = np.concatenate([CODES > np.median(CODES, axis=0), CODES], axis=1).astype(float)
    halves[:, 3:] += 0.5 * noise(400, 3)
    computed = scores(halves)
    assert computed.disentanglement > computed.completeness + 0.1


@pytest.mark.parametrize(
    "make_model",
    [
        lambda state: RandomForestRegressor(5, random_state=state),
        lambda state: LogisticRegression(),
    ],
    ids=["regression", "coefficients"],
)
def test_other_models(make_model):
    computed = scores(CODES, make_model=make_model)
    assert computed.disentanglement > 0.6
    assert computed.informativeness > 0.6
    assert computed.importance.shape == (3, 3)
    assert (computed.importance >= 0).all()


def test_no_instance_is_in_both_parts():
    """Nor in those of the bootstrap: each code is met once, and none is known before."""
    parts = []

    class Recorder(DecisionTreeClassifier):
        def fit(self, x, y):
            parts.append(set(x[:, 0]))
            return super().fit(x, y)

        def score(self, x, y):
            assert not parts[-1] & set(x[:, 0])
            parts.append(set(x[:, 0]))
            return super().score(x, y)

    scores(noise(400, 3), make_model=lambda state: Recorder(random_state=state), test_share=0.25)
    assert [len(part) for part in parts[:2]] == [300, 100]
    assert len(parts) == 2 * 3 * 3
    assert len(parts[-2]) < 300


def test_standard_errors():
    """Of scores from fresh instances."""
    found, errors = [], []
    for seed in range(10):
        factors = some_factors(200, seed)
        computed = scores(
            centered(factors) + 0.4 * noise(200, 3, seed), factors, num_resamples=10, seed=seed
        )
        found.append(computed[:3])
        errors.append(computed.standard_errors)
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(found, axis=0, ddof=1), rtol=0.8)


def test_seed():
    codes = CODES + noise(400, 3)
    first, again, other = (scores(codes, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.importance, again.importance)
    np.testing.assert_array_equal(first.standard_errors, again.standard_errors)
    assert (first.importance != other.importance).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"representation": "draw"}, "`representation` must be one of 'mean', 'sample'.*'draw'"),
        ({"test_share": 1.0}, "`test_share` must be more than 0 and less than 1.*test_share=1.0"),
        ({"num_resamples": -1}, "`num_resamples` must be a positive integer.*num_resamples=-1"),
        ({"x": amplitudes(CODES[:, :1])}, r"at least two latent dimensions.*\(400, 1\)"),
        ({"factors": FACTORS[:, :1]}, r"at least 2 columns.*\(400, 1\)"),
    ],
)
def test_wrong_arguments(arguments, message):
    given = {"encoder": same, "x": amplitudes(CODES), "factors": FACTORS, **arguments}
    with pytest.raises(ValueError, match=message):
        dci(**given)


def test_scikit_learn_is_imported_when_it_is_called():
    script = """
import sys

import numpy as np

import keras_slashed

assert "sklearn.ensemble" not in sys.modules  # Keras itself imports sklearn
sys.modules["sklearn.ensemble"] = None
try:
    keras_slashed.metrics.dci(lambda x: x, np.zeros((4, 4)), np.zeros((4, 2), int))
except ImportError as error:
    print(error)
"""
    output, _ = run_python(script)
    assert output.strip() == "`dci` requires scikit-learn: pip install scikit-learn"


def test_each_model_has_a_random_state_of_its_own():
    states = []
    scores(CODES, make_model=lambda state: states.append(state) or tree(state))
    assert len(set(states)) == len(states) == 9
