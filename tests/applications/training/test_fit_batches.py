"""On TensorFlow `fit` gets the same batches in each epoch as from the `PyDataset`."""

import keras
import numpy as np
import pytest

from applications.training.backends import for_fit
from applications.training.epoch_seeds import ShuffledBatches
from applications.training.epoch_seeds import fit
from tests.support import BACKEND


class _Recorded(ShuffledBatches):
    """Batches that keep the labels asked for, and count the epochs begun."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.begun = [], 0

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        self.asked.append(y)
        return x, y

    def on_epoch_begin(self):
        self.begun += 1


class _Seen(keras.layers.Layer):
    """Passes on what it sees, and adds it up."""

    def build(self, input_shape):
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.total.assign_add(keras.ops.sum(x))
        return x


def test_fit_sees_each_row_once_an_epoch_in_the_seeds_order():
    x = np.arange(22, dtype="float32").reshape(11, 2)
    batches = _Recorded(x, np.arange(11), 4, 3)
    seen = _Seen()
    model = keras.Sequential([keras.Input((2,)), seen, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = fit(model, batches, 0, epochs=4, initial_epoch=1)
    assert len(history.epoch) == 3
    assert batches.begun >= 3, "Keras may begin one to look at it"
    np.testing.assert_allclose(float(seen.total), 3 * x.sum())
    asked = batches.asked[-9:]  # before that, Keras may look at the first ones
    expected = ShuffledBatches(x, np.arange(11), 4, 3)
    for epoch in (1, 2, 3):
        expected.set_epoch(epoch)
        for index in range(3):
            np.testing.assert_array_equal(asked[3 * (epoch - 1) + index], expected[index][1])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of tf.data")
def test_the_dataset_is_not_tuned():
    """A thread that tunes it is what an epoch's end would wait for."""
    x = np.zeros((11, 2), "float32")
    dataset = for_fit(ShuffledBatches(x, np.arange(11), 4, 3))
    assert dataset.options().autotune.enabled is False
    assert len(dataset) == 3
