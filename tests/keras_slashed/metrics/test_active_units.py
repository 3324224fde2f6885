"""ActiveUnits, active_units and unit_variances, against numpy.var."""

import keras
import numpy as np
import pytest

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.metrics import ActiveUnits
from keras_slashed.metrics import active_units
from keras_slashed.metrics import unit_variances
from tests.support import to_numpy

# Variances of the posterior means, around the threshold of 0.01
STDDEV = np.array([0.0, 0.05, 0.09, 0.11, 0.2, 2.0])
rng = np.random.default_rng(0)
MEANS = rng.normal(size=(500, 6)) * STDDEV
AMPLITUDES = np.concatenate([MEANS / 2**0.5, rng.normal(size=(500, 6))], axis=1).astype("float32")
VARIANCES = np.var(MEANS, axis=0)


def variances_of(batches, weights=None):
    metric = ActiveUnits()
    for index, batch in enumerate(batches):
        metric.update_state(batch, None if weights is None else weights[index])
    return to_numpy(metric.variances())


def test_function_against_numpy():
    computed = unit_variances(lambda x: x, AMPLITUDES, batch_size=64)
    np.testing.assert_allclose(computed, VARIANCES, rtol=1e-5, atol=1e-12)
    assert active_units(lambda x: x, AMPLITUDES) == 3
    assert active_units(lambda x: x, AMPLITUDES, threshold=0.0) == 5
    assert active_units(lambda x: x, AMPLITUDES, threshold=1.0) == 1


def test_metric_against_numpy():
    metric = ActiveUnits()
    assert float(metric.result()) == 0.0
    for batch in np.split(AMPLITUDES, 10):
        metric.update_state(batch)
    np.testing.assert_allclose(to_numpy(metric.variances()), VARIANCES, rtol=1e-5, atol=1e-12)
    assert float(metric.result()) == 3.0
    metric.reset_state()
    assert float(metric.result()) == 0.0
    metric.update_state(AMPLITUDES[:50])
    expected = np.var(MEANS[:50], axis=0)
    np.testing.assert_allclose(to_numpy(metric.variances()), expected, rtol=1e-5, atol=1e-12)


def test_no_digits_are_lost():
    """Means of 300: the mean square minus the squared mean would have no right digit."""
    far = AMPLITUDES.copy()
    far[:, :6] += 300.0
    expected = np.var(2**0.5 * far[:, :6].astype("float64"), axis=0)
    computed = variances_of(np.split(far, 10))
    np.testing.assert_allclose(computed[1:], expected[1:], rtol=2e-3)
    assert abs(computed[0]) < 1e-6
    np.testing.assert_allclose(unit_variances(lambda x: x, far)[1:], expected[1:], rtol=2e-3)


def test_positions_and_masks():
    """All leading axes are alike; masked ones may be NaN; a batch may be masked as a whole."""
    amplitudes = AMPLITUDES.reshape(50, 10, 12).copy()
    mask = rng.random((50, 10)) < 0.5
    mask[:10] = mask[20:30] = False
    amplitudes[~mask] = np.nan
    expected = np.var(MEANS.reshape(50, 10, 6)[mask], axis=0)
    computed = variances_of(np.split(amplitudes, 5), np.split(mask, 5))
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-12)


def test_weights():
    """A weight of 2 is as the instance twice."""
    weights = rng.integers(0, 4, 500)
    expected = np.var(np.repeat(MEANS, weights, axis=0), axis=0)
    computed = variances_of(np.split(AMPLITUDES, 5), np.split(weights, 5))
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-12)


def test_priors_of_their_own():
    """A posterior mean is that of z, on its prior: S0 mixes the dimensions."""
    prior_mean = rng.normal(size=(500, 6)).astype("float32")
    scale = rng.normal(size=(7, 6)).astype("float32")
    for encoder, means in (
        (lambda x: SlashedNormal(*x, prior_stddev=2.0), prior_mean + 2.0 * MEANS),
        (lambda x: MultivariateSlashedNormal(x[0], prior_scale=scale), MEANS @ scale.T),
    ):
        computed = unit_variances(encoder, (AMPLITUDES, prior_mean))
        np.testing.assert_allclose(computed, np.var(means, axis=0), rtol=1e-4)
    computed = variances_of([SlashedNormal(AMPLITUDES, prior_mean, 2.0)])
    np.testing.assert_allclose(computed, np.var(prior_mean + 2.0 * MEANS, axis=0), rtol=1e-4)


def test_narrow_amplitudes():
    """The function of bfloat16 is that of the rounded amplitudes."""
    rounded = to_numpy(keras.ops.cast(AMPLITUDES, "bfloat16"))
    computed = unit_variances(lambda x: keras.ops.cast(x, "bfloat16"), AMPLITUDES)
    expected = np.var(2**0.5 * rounded[:, :6], axis=0)
    np.testing.assert_allclose(computed, expected, rtol=1e-2, atol=1e-12)


def test_errors():
    with pytest.raises(ValueError, match=r"`threshold` must be a finite number.*threshold=-1"):
        ActiveUnits(threshold=-1)
    with pytest.raises(ValueError, match=r"`threshold` must be a finite number.*threshold=nan"):
        active_units(lambda x: x, AMPLITUDES, threshold=float("nan"))
    with pytest.raises(ValueError, match="'active_units' has not received any amplitudes"):
        ActiveUnits().variances()
    with pytest.raises(ValueError, match="amplitude must have the shape"):
        ActiveUnits().build((None, 3))


def test_a_constant_unit_does_not_exceed_a_threshold_of_0():
    metric = ActiveUnits(threshold=0.0)
    metric.update_state(AMPLITUDES)
    assert float(metric.result()) == 5.0
