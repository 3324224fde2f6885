"""Rate and rate, against NumPy."""

import keras
import numpy as np
import pytest

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.metrics import Rate
from keras_slashed.metrics import rate

AMPLITUDES = np.random.default_rng(0).normal(size=(37, 6)).astype("float32")
RATES = np.sum(AMPLITUDES.astype("float64") ** 2, axis=-1)


def test_function_against_numpy():
    """Over batches of which the last is short."""
    np.testing.assert_allclose(rate(lambda x: x, AMPLITUDES, 8), RATES.mean(), rtol=1e-6)


def test_function_of_distributions():
    """The rate does not depend on the prior."""
    scale = np.ones((4, 3), "float32")
    for encoder in (
        lambda x: SlashedNormal(x, 3.0, 2.0),
        lambda x: MultivariateSlashedNormal(x, prior_scale=scale),
    ):
        np.testing.assert_allclose(rate(encoder, AMPLITUDES), RATES.mean(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_function_of_narrow_amplitudes(dtype):
    """In float16 these squares, of 300 each, would overflow."""
    computed = rate(lambda x: keras.ops.cast(x, dtype), np.full((3, 4), 300.0))
    np.testing.assert_allclose(computed, 360000.0, rtol=1e-2)


def test_metric_over_batches():
    metric = Rate()
    for batch in (AMPLITUDES[:30], AMPLITUDES[30:]):
        metric.update_state(batch)
    np.testing.assert_allclose(float(metric.result()), RATES.mean(), rtol=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_metric_of_positions():
    """All leading axes are alike instances; masked ones may be NaN."""
    amplitudes = AMPLITUDES[:36].reshape(12, 3, 6).copy()
    rates = RATES[:36].reshape(12, 3)
    mask = np.random.default_rng(1).random((12, 3)) < 0.5
    amplitudes[~mask] = np.nan
    metric = Rate()
    for start in (0, 4, 8):
        rows = slice(start, start + 4)
        metric.update_state(amplitudes[rows], sample_weight=mask[rows])
    np.testing.assert_allclose(float(metric.result()), rates[mask].mean(), rtol=1e-6)


def test_metric_with_weights_of_batch_entries():
    rates = RATES[:36].reshape(12, 3)
    weights = np.arange(12)
    metric = Rate()
    metric.update_state(SlashedNormal(AMPLITUDES[:36].reshape(12, 3, 6), 1.0), weights)
    expected = np.average(rates.mean(axis=1), weights=weights)
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)


def test_metric_with_a_negative_weight():
    """Keras' metrics accept it, for example to take an instance out again."""
    weights = np.array([1.0, 1.0, 1.0, 1.0, -1.0])
    metric = Rate()
    metric.update_state(AMPLITUDES[:5], weights)
    expected = np.average(RATES[:5], weights=weights)
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (3, 1), (3, 2, 1)])
def test_wrong_weights(shape):
    message = r"`sample_weight` must have the shape \(3, 2\) of the instances"
    with pytest.raises(ValueError, match=message):
        Rate().update_state(np.zeros((3, 2, 4)), np.ones(shape))


def test_wrong_amplitudes():
    with pytest.raises(ValueError, match="amplitude must have the shape"):
        rate(lambda x: x[:, :3], AMPLITUDES)
    with pytest.raises(ValueError, match="amplitude must have the shape"):
        Rate().update_state(np.zeros((3, 5)))
