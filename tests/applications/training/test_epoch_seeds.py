import keras
import numpy as np

from applications.training.epoch_seeds import ShuffledBatches
from applications.training.epoch_seeds import set_noise
from tests.support import to_numpy


def collect(batches):
    parts = [batches[index] for index in range(len(batches))]
    assert [len(part[0]) for part in parts] == [4, 4, 3]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts))


def test_every_instance_once_with_its_label_in_an_order_of_seed_and_epoch():
    labels = np.arange(11) * 10
    batches = ShuffledBatches(np.arange(11), labels, batch_size=4, seed=3)
    orders = []
    for epoch in (0, 1, 2, 1):
        batches.set_epoch(epoch)
        numbers, chosen = collect(batches)
        assert sorted(numbers) == list(range(11))
        np.testing.assert_array_equal(chosen, labels[numbers])
        orders.append(numbers.tolist())
    assert orders[1] == orders[3]
    assert orders[0] != orders[1] != orders[2]
    other = ShuffledBatches(np.arange(11), labels, batch_size=4, seed=4)
    assert collect(other)[0].tolist() != orders[0]


def test_noise_is_a_matter_of_the_numbers():
    model = keras.Sequential(
        [keras.Input((50,)), keras.layers.Dropout(0.5), keras.layers.GaussianNoise(1.0)]
    )
    x = np.ones((2, 50), "float32")
    found = {}
    for numbers in ((0, 1), (0, 2), (1, 1), (0, 1)):
        set_noise(model, *numbers)
        drawn = to_numpy(model(x, training=True))
        assert found.setdefault(numbers, drawn) is drawn or np.array_equal(found[numbers], drawn)
    assert not np.array_equal(found[0, 1], found[0, 2])
    assert not np.array_equal(found[0, 1], found[1, 1])
    # Each layer has its own.
    states = [to_numpy(layer.seed_generator.state).tolist() for layer in model.layers]
    assert states[0] != states[1]
