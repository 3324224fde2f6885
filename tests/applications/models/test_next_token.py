import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from applications.models.lstm_decoder import NextToken
from tests.support import gradient
from tests.support import to_numpy

RNG = np.random.default_rng(0)
HIDDEN = RNG.normal(size=(3, 4, 5)).astype("float32")
TARGETS = np.array([[2, 6, 1, 3], [4, 3, 0, 0], [0, 0, 0, 0]], "int32")


@pytest.fixture
def layer():
    layer = NextToken(7)
    layer.build((None, None, 5))
    layer.set_weights([RNG.normal(size=(5, 7)), RNG.normal(size=7)])
    return layer


def reference(layer):
    """Log probabilities, and what each row costs."""
    kernel, bias = (to_numpy(weight).astype("float64") for weight in layer.weights)
    logs = log_softmax(HIDDEN.astype("float64") @ kernel + bias, axis=-1)
    costs = [-sum(logs[n, t, w] for t, w in enumerate(row) if w) for n, row in enumerate(TARGETS)]
    return logs, np.array(costs)


def test_logits_and_costs(layer):
    logs, costs = reference(layer)
    logits = to_numpy(layer(HIDDEN))
    assert logits.shape == (3, 4, 7)
    np.testing.assert_allclose(log_softmax(logits, axis=-1), logs, rtol=1e-4, atol=1e-5)
    received = to_numpy(layer(HIDDEN, TARGETS))
    np.testing.assert_allclose(received, costs, rtol=1e-5)
    assert received[2] == 0.0


def test_the_gradient_is_softmax_minus_target_at_true_tokens(layer):
    logs, _ = reference(layer)
    slope = np.exp(logs) - np.eye(7)[TARGETS]
    slope[TARGETS == 0] = 0.0
    expected = slope @ to_numpy(layer.kernel).T
    received = to_numpy(gradient(lambda hidden: layer(hidden, TARGETS), HIDDEN))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)


def test_great_logits_cost_no_infinity(layer):
    costs = to_numpy(layer(1e4 * HIDDEN, TARGETS))
    assert np.isfinite(costs).all()
    assert costs.max() > 1e3


def test_symbolic_shapes_and_config(layer):
    hidden, targets = keras.KerasTensor((None, None, 5)), keras.KerasTensor((None, None), "int32")
    assert layer(hidden).shape == (None, None, 7)
    assert layer(hidden, targets).shape == (None,)
    assert NextToken.from_config(layer.get_config()).vocabulary_size == 7
    half = NextToken(7, dtype="float16")
    assert to_numpy(half(HIDDEN, TARGETS)).dtype == np.float32
    with pytest.raises(ValueError, match="vocabulary_size=0"):
        NextToken(0)
