"""Losses of several layers of one model: none is taken for another's."""

import keras
import numpy as np
import pytest

from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND


@pytest.mark.skipif(BACKEND != "jax", reason="other backends keep a layer's losses in the layer")
def test_no_layer_drops_the_loss_of_another():
    """Without jit each step has losses anew, in memory that others have left."""
    inputs = keras.Input((4,))
    outputs = [SlashedNormalSampling(seed=seed)(inputs) for seed in range(4)]
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    model.compile("sgd", jit_compile=False)
    x, y = np.ones((2, 4)), np.zeros((2, 8))
    losses = []
    for _ in range(150):
        losses.append(float(model.train_on_batch(x, y)))
        model.reset_metrics()
    np.testing.assert_allclose(losses, 16.0, rtol=1e-6)
