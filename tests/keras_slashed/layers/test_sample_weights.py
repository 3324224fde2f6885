"""Sample weights weight losses and metrics of Keras, and nothing that a layer computes."""

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.metrics import Rate
from tests.support import to_numpy

ROWS, LATENT = 24, 4


def trained(normalization, sample_weight=None, class_weight=None):
    """Return the layer's variables and what `fit` logged; no step changes the weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2 * LATENT)).astype("float32")
    y = np.arange(ROWS) % 2
    inputs = keras.Input((2 * LATENT,))
    vib = FixedRateVIB(3.0, normalization, kl_weight=1.0, seed=0, name="vib")
    keras.utils.set_random_seed(0)
    model = keras.Model(inputs, keras.layers.Dense(2)(vib(inputs)))
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(
        x, y, batch_size=8, epochs=2, shuffle=False, verbose=0,
        sample_weight=sample_weight, class_weight=class_weight, callbacks=[RateMonitor()],
    ).history  # fmt: skip
    state = {v.path: to_numpy(v) for v in vib.variables if "seed" not in v.path}
    return state, history


@pytest.mark.parametrize("normalization", ["batch", "feature", "instance"])
def test_weights_do_not_reach_the_statistics(normalization):
    state, history = trained(normalization)
    weights = np.linspace(0.0, 5.0, ROWS)
    for options in ({"sample_weight": weights}, {"class_weight": {0: 0.0, 1: 7.0}}):
        weighted_state, weighted_history = trained(normalization, **options)
        assert weighted_state.keys() == state.keys()
        for name, value in state.items():
            np.testing.assert_array_equal(weighted_state[name], value)
        assert weighted_history["vib_rate"] == history["vib_rate"]
        assert weighted_history["loss"] != history["loss"], "the cross-entropy is weighted"


def test_weights_do_not_reach_the_rate_in_the_loss():
    """Weights of 0 leave the KL alone."""
    _, history = trained("batch", np.zeros(ROWS))
    np.testing.assert_allclose(history["loss"], 3.0, rtol=1e-6)


def test_a_metric_counts_them_only_where_it_is_given_them():
    amplitude = np.asarray([[1.0, 0.0], [3.0, 0.0]], "float32")
    weights = np.asarray([1.0, 0.0])
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))

    class RateOfOutput(Rate):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred, sample_weight)

    for name, expected in (("metrics", 5.0), ("weighted_metrics", 1.0)):
        model.compile(loss="mse", **{name: [RateOfOutput(name="rate")]})
        results = model.evaluate(
            amplitude, amplitude, sample_weight=weights, verbose=0, return_dict=True
        )
        assert results["rate"] == pytest.approx(expected)
