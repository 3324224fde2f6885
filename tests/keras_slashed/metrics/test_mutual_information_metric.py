"""MutualInformation: what it keeps, and its result against the function's and closed forms."""

import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.metrics import MutualInformation
from tests.keras_slashed.metrics.linear_gaussian import LinearGaussian
from tests.keras_slashed.metrics.linear_gaussian import imaginary_part
from tests.support import to_numpy

MODEL = LinearGaussian()


def amplitudes(count):
    """Return those of the model's true posteriors, from NumPy."""
    means = MODEL.sample(count) @ MODEL.to_mean.T
    b = np.tile(imaginary_part(MODEL.stddev), (count, 1))
    return np.concatenate([means / 2**0.5, b], axis=1).astype("float32")


def indices(count):
    """Return amplitudes that say which they are."""
    return np.stack([np.arange(count), np.zeros(count)], axis=1).astype("float32")


def kept(metric):
    """Return the numbers of the amplitudes that a metric holds."""
    is_kept = to_numpy(metric.keys) >= 0.0
    return np.sort(to_numpy(metric.amplitudes)[is_kept, 0]).astype(int)


def test_linear_gaussian_model():
    """The capacity holds all; the result varies as 1 / sqrt(N)."""
    metric = MutualInformation(capacity=600, seed=0)
    for batch in np.split(amplitudes(600), 2):
        metric.update_state(batch)
    # Twice the model's own deviation of a term, which is near 1.3 nats
    assert abs(float(metric.result()) - MODEL.mutual_information) < 0.15
    assert float(metric.result()) == float(metric.result())


def test_sample_within_a_stream():
    """600 of 3,000, each as likely: the result is the same to its error."""
    metric = MutualInformation(capacity=600, seed=0)
    for batch in np.split(amplitudes(3000), 10):
        metric.update_state(batch)
    assert abs(float(metric.result()) - MODEL.mutual_information) < 0.15


def test_uniform_sample():
    """Of 2,000 in batches of 100: which are kept is uniform over the stream."""
    metric = MutualInformation(capacity=400, seed=0)
    for batch in np.split(indices(2000), 20):
        metric.update_state(batch)
    numbers = kept(metric)
    assert len(set(numbers)) == 400
    assert scipy.stats.kstest(numbers / 2000, "uniform").pvalue > 0.01
    counts = np.bincount(numbers // 100, minlength=20)
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    # Not merely spread, but random: neighbors are kept independently.
    assert 0.1 < np.mean(np.diff(numbers) == 1) < 0.3


def test_all_are_kept_below_capacity():
    metric = MutualInformation(capacity=45)
    metric.update_state(indices(20))
    metric.update_state(indices(40)[20:])
    np.testing.assert_array_equal(kept(metric), np.arange(40))


def test_cap_and_collapse():
    """Distinct posteriors: log of how many are kept. Equal ones: 0."""
    metric = MutualInformation(capacity=45)
    assert float(metric.result()) == 0.0
    for batch, expected in ((0, np.log(20)), (1, np.log(40)), (2, np.log(45))):
        metric.update_state(1000.0 * indices(60)[20 * batch : 20 * batch + 20])
        np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-5)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state(np.tile([0.5, -1.0], (20, 1)))
    assert abs(float(metric.result())) < 1e-5


def test_masks():
    """What is masked is never kept, and may be NaN."""
    x = indices(40).reshape(20, 2, 2).copy()
    mask = np.random.default_rng(0).random((20, 2)) < 0.5
    expected = x[mask][:, 0]
    x[~mask] = np.nan
    metric = MutualInformation(capacity=45)
    metric.update_state(x[:10], mask[:10])
    metric.update_state(x[10:], mask[10:])
    np.testing.assert_array_equal(kept(metric), expected)
    assert np.isfinite(float(metric.result()))


def test_reset_goes_on_with_other_keys():
    def filled(metric):
        for batch in np.split(indices(200), 10):
            metric.update_state(batch)
        return kept(metric)

    metric = MutualInformation(capacity=45, seed=0)
    first = filled(metric)
    metric.reset_state()
    assert len(kept(metric)) == 0
    assert not np.array_equal(filled(metric), first)
    np.testing.assert_array_equal(filled(MutualInformation(capacity=45, seed=0)), first)


def test_distributions():
    """A prior of its own moves the amplitude to that on a standard normal prior."""
    metric = MutualInformation(capacity=45)
    metric.update_state(SlashedNormal(np.tile([1.0, 0.5], (20, 1)), 3.0, 2.0))
    computed = to_numpy(metric.amplitudes)[to_numpy(metric.keys) >= 0.0]
    b = 0.5
    # stdplus(sqrt(2) b) solves y^2 - 1 - 2 log y = 2 b^2.
    y = scipy.optimize.brentq(lambda y: y**2 - 1 - 2 * np.log(y) - 2 * b**2, 1.0, 9.0)
    expected = [(3.0 + 2**0.5 * 2.0) / 2**0.5, imaginary_part(2.0 * y)]
    np.testing.assert_allclose(computed, np.tile(expected, (20, 1)), rtol=1e-5)
    with pytest.raises(ValueError, match="independent latent dimensions"):
        metric.update_state(MultivariateSlashedNormal(keras.ops.ones((3, 2))))


@pytest.mark.parametrize("capacity", [0, 2.5, True])
def test_wrong_capacity(capacity):
    with pytest.raises(ValueError, match=f"`capacity` must be a positive integer.*{capacity}"):
        MutualInformation(capacity=capacity)
