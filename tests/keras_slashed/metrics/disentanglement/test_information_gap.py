import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import sklearn.metrics

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.metrics import mutual_information_gap
from keras_slashed.metrics.disentanglement.bootstrap import standard_error
from tests.keras_slashed.metrics.disentanglement.codes import SIZES
from tests.keras_slashed.metrics.disentanglement.codes import amplitudes
from tests.keras_slashed.metrics.disentanglement.codes import centered
from tests.keras_slashed.metrics.disentanglement.codes import noise
from tests.keras_slashed.metrics.disentanglement.codes import rotated
from tests.keras_slashed.metrics.disentanglement.codes import same
from tests.keras_slashed.metrics.disentanglement.codes import some_factors

FACTORS = some_factors()
CODES = centered(FACTORS)
every_representation = pytest.mark.parametrize("representation", ["mean", "sample"])


def gap(codes, factors=FACTORS, imaginary=-1.3, **options):
    options = {"num_resamples": 2, "batch_size": 200, "seed": 0, **options}
    return mutual_information_gap(same, amplitudes(codes, imaginary), factors, **options)


def test_against_scikit_learn():
    """Bins by NumPy's histogram, information by scikit-learn, the gap by its definition."""
    rng = np.random.default_rng(1)
    codes = rotated(np.concatenate([CODES, noise(600, 1)], axis=1)) + 0.1 * rng.normal(
        size=(600, 4)
    )
    computed = gap(codes, num_bins=7)
    gaps = []
    means = amplitudes(codes)[:, :4] * np.float32(2**0.5)
    for f in range(3):
        information = []
        for k in range(4):
            edges = np.histogram_bin_edges(means[:, k], 7)
            bins = np.digitize(means[:, k], edges[1:-1])
            information.append(sklearn.metrics.mutual_info_score(bins, FACTORS[:, f]))
        np.testing.assert_allclose(computed.information[:, f], information, atol=1e-2)
        entropy = scipy.stats.entropy(np.bincount(FACTORS[:, f]))
        np.testing.assert_allclose(computed.entropies[f], entropy)
        second, first = sorted(computed.information[:, f])[-2:]
        gaps.append((first - second) / entropy)
    np.testing.assert_allclose(computed.gaps, gaps, rtol=1e-6)
    np.testing.assert_allclose(computed.estimate, np.mean(gaps), rtol=1e-6)


def test_draws_against_quadrature():
    """The information of a draw from the mixture of few posteriors, by Simpson's rule."""
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]])
    places, factors = np.array([-1.0, -0.8, 0.1, 0.4, 2.0]), np.repeat(factors, 300, axis=0)
    codes = np.repeat(places, 300)[:, None]
    computed = gap(codes, factors, imaginary=-0.4, representation="sample")
    amplitude = keras.ops.convert_to_tensor(amplitudes(places[:, None], -0.4))
    stddev = float(SlashedNormal(amplitude).stddev[0, 0])
    z = np.linspace(-8, 9, 20001)
    densities = scipy.stats.norm.pdf(z, places[:, None], stddev)

    def entropy(which):
        density = densities[which].mean(axis=0)
        return scipy.integrate.simpson(-density * np.log(density), x=z)

    whole = entropy([0, 1, 2, 3, 4])
    shape = whole - (2 * entropy([0, 1]) + 2 * entropy([2, 3]) + entropy([4])) / 5
    other = whole - (3 * entropy([0, 2, 4]) + 2 * entropy([1, 3])) / 5
    np.testing.assert_allclose(computed.information, [[shape, other]], atol=0.04)
    assert computed.information[0, 0] > computed.information[0, 1] + 0.1


@every_representation
def test_factors_as_latent(representation):
    """Also with collapsed dimensions, or with noise, whose information is not 0 in a sample."""
    for more, least in ((np.zeros((600, 2)), 0.99), (noise(600, 2), 0.9)):
        computed = gap(np.concatenate([CODES, more], axis=1), representation=representation)
        assert computed.estimate > least
        np.testing.assert_array_equal(computed.information.argmax(axis=0), [0, 1, 2])
    entropies = [scipy.stats.entropy(np.bincount(factor)) for factor in FACTORS.T]
    np.testing.assert_allclose(computed.entropies, entropies)
    np.testing.assert_allclose(np.diag(computed.information), entropies, rtol=0.01)


def test_one_dimension_for_two_factors():
    """This does not lower the gap: the information in one dimension is divided by no one else."""
    both = FACTORS[:, 0] + 3.0 * FACTORS[:, 1]
    codes = np.stack([both, FACTORS[:, 2]], axis=1)
    assert gap(codes, num_bins=40).estimate > 0.95


@every_representation
def test_no_gap(representation):
    """Factors in two dimensions each, turned by a rotation, or absent."""
    turned = gap(rotated(CODES), representation=representation)
    assert turned.estimate < 0.25
    twice = gap(np.concatenate([CODES, CODES], axis=1), representation=representation)
    assert twice.estimate < (1e-9 if representation == "mean" else 0.02)
    absent = gap(noise(600, 4), representation=representation)
    assert absent.estimate < 0.03
    assert gap(np.ones((600, 3)), representation=representation).estimate < 0.03


def test_single_dimension():
    """Without another one, the gap is all that it knows."""
    computed = gap(CODES[:, :1], FACTORS[:, :1])
    np.testing.assert_allclose(computed.gaps, 1.0)


@every_representation
def test_standard_error(representation):
    """Of estimates from fresh instances."""
    rng = np.random.default_rng(2)
    estimates, errors = [], []
    for seed in range(10):
        factors = some_factors(200, seed)
        codes = centered(factors) + rng.normal(size=factors.shape)
        options = {"representation": representation, "seed": seed, "num_bins": 5}
        computed = gap(codes, factors, num_resamples=12, **options)
        estimates.append(computed.estimate)
        errors.append(computed.standard_error)
    np.testing.assert_allclose(np.mean(errors), np.std(estimates, ddof=1), rtol=0.6)


def test_seeds_and_batches():
    codes = CODES + noise(600, 3)
    options = {"representation": "sample", "imaginary": 0.0}
    first, other, seeded = (
        gap(codes, batch_size=size, seed=seed, **options)
        for size, seed in ((600, 1), (7, 1), (7, 2))
    )
    np.testing.assert_allclose(other.information, first.information, rtol=1e-4)
    np.testing.assert_allclose(other.standard_error, first.standard_error, rtol=1e-3)
    assert abs(seeded.estimate - first.estimate) > 1e-5


def test_a_prior_changes_nothing():
    """A draw counts relative to the prior, whose mean and scale are the same for all."""

    def shifted(x):
        return SlashedNormal(x, 3.0, 2.0)

    codes = CODES + noise(600, 3)
    for representation in ("mean", "sample"):
        options = {"representation": representation, "seed": 0, "num_resamples": 2}
        x = amplitudes(codes, 0.3)
        plain, other = (
            mutual_information_gap(encoder, x, FACTORS, **options) for encoder in (same, shifted)
        )
        np.testing.assert_allclose(other.information, plain.information, atol=5e-3)


def test_factors_of_any_kind():
    """A tensor, and values that are not 0, 1, 2, ..."""
    plain = gap(CODES)
    values = np.array([-7, 100, 3, 12, 5])
    for other in (values[FACTORS], keras.ops.convert_to_tensor(FACTORS, dtype="int32")):
        np.testing.assert_allclose(gap(CODES, other).information, plain.information)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"representation": "draw"}, "`representation` must be one of 'mean', 'sample'.*'draw'"),
        ({"num_bins": 0}, "`num_bins` must be a positive integer.*num_bins=0"),
        ({"num_resamples": 0}, "`num_resamples` must be a positive integer.*num_resamples=0"),
        ({"factors": CODES}, r"integer array of shape \(N, F\).*\(600, 3\) and dtype float64"),
        ({"factors": FACTORS[:, 0]}, r"integer array of shape \(N, F\).*shape \(600,\)"),
        ({"factors": FACTORS[:5]}, r"a row for each of the 600 instances.*\(5, 3\)"),
        ({"factors": FACTORS * [1, 0, 1]}, r"two different values.*in columns \[1\]"),
        ({"x": amplitudes(CODES)[:, None]}, r"\(batch, 2K\).*of shape \(batch, 1, 3\)"),
        ({"x": amplitudes(CODES) / np.array([[np.nan]])}, "finite amplitudes.*in 600 rows"),
        (
            {"encoder": MultivariateSlashedNormal, "representation": "sample"},
            "independent latent dimensions",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    given = {"encoder": same, "x": amplitudes(CODES), "factors": FACTORS, **arguments}
    with pytest.raises(ValueError, match=message):
        mutual_information_gap(**given)


def test_sizes():
    assert [len(set(factor)) for factor in FACTORS.T] == list(SIZES)


def test_a_standard_error_is_that_of_a_sample():
    values = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(standard_error(values), np.std(values, axis=0, ddof=1))


def test_a_value_that_a_resample_lacks():
    factors = np.stack([np.arange(20) == 3, np.arange(20) % 2], axis=1).astype(int)
    computed = gap(factors.astype(float), factors, num_resamples=20)
    assert np.isfinite(computed.standard_error)


def test_tiny_deviations():
    """Their reciprocal is beyond float64, but the information is that of the factors."""
    codes = np.random.default_rng(0).integers(3, size=(60, 2))
    options = {"representation": "sample"}
    wide, tiny = (gap(codes, codes, b, **options) for b in (-26.0, -28.0))
    np.testing.assert_allclose(tiny.estimate, wide.estimate, rtol=1e-6)
    np.testing.assert_allclose(tiny.standard_error, wide.standard_error, rtol=1e-6)
