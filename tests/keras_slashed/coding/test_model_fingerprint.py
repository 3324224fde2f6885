"""The fingerprint of a model: equal for a copy, different for anything else."""

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import RateMonitor
from keras_slashed.coding import fingerprint
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.rates import CommittedRate


def decoder(units=3, activation="relu", rate=2.0):
    """Return a model whose weights do not depend on chance."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(units, activation=activation)(inputs)
    hidden = keras.layers.Dense(4)(hidden)
    model = keras.Model(inputs, FixedRateVIB(rate)(hidden))
    for weight in model.weights:
        weight.assign(np.arange(np.prod(weight.shape), dtype="float32").reshape(weight.shape))
    return model


def test_copies_have_the_same_fingerprint(tmp_path):
    model = decoder()
    expected = fingerprint(model)
    assert len(expected) == 64
    assert fingerprint(decoder()) == expected  # although its layers have other names
    model.save(tmp_path / "model.keras")
    model.compile("adam", "mse")
    model.layers[1].trainable = False
    model.predict(np.ones((2, 4)), verbose=0)
    assert fingerprint(model) == expected
    assert fingerprint(keras.models.load_model(tmp_path / "model.keras")) == expected
    assert fingerprint(keras.models.clone_model(model)) != expected  # it has other weights


def test_the_fingerprint_of_every_backend():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.set_weights([np.arange(8, dtype="float32").reshape(4, 2), np.ones(2, "float32")])
    assert fingerprint(model)[:16] == FINGERPRINT


FINGERPRINT = "c731490a371a8f8e"


def test_another_precision():
    fingerprints = set()
    for dtype in ("float32", "mixed_float16", "mixed_bfloat16"):
        layer = keras.layers.Dense(2, dtype=dtype, kernel_initializer="ones")
        layer.build((None, 2))
        fingerprints.add(fingerprint(layer))
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    "other", [{"units": 4}, {"activation": "tanh"}, {"rate": 2.5}], ids=lambda other: str(other)
)
def test_another_configuration(other):
    assert fingerprint(decoder(**other)) != fingerprint(decoder())


def test_another_weight():
    model = decoder()
    before = fingerprint(model)
    kernel = model.layers[1].kernel
    kernel.assign(np.nextafter(np.asarray(keras.ops.convert_to_numpy(kernel)), np.float32(9)))
    assert fingerprint(model) != before


def test_a_layer_in_bfloat16_and_a_class_without_configuration():
    layer = keras.layers.Dense(3, dtype="bfloat16")
    layer.build((None, 2))
    assert fingerprint(layer) == fingerprint(layer)

    class Decoder(keras.Model):
        def __init__(self, function):
            super().__init__()
            self.function = function
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.function(self.dense(x))

    model = Decoder(lambda x: 2 * x)
    model(np.ones((1, 2), "float32"))
    assert fingerprint(model) == fingerprint(model)


@pytest.mark.parametrize("model", [None, "model", keras.layers.Dense(3)])
def test_what_has_no_fingerprint(model):
    with pytest.raises(ValueError, match="built"):
        fingerprint(model)


def sequential(*layers):
    ones = {"kernel_initializer": "ones"}
    first, last = keras.layers.Dense(4, **ones), keras.layers.Dense(2, **ones)
    return keras.Sequential([keras.Input((3,)), first, *layers, last])


def activation(function, name):
    return sequential(keras.layers.Activation(function, name=name))


def test_a_name_is_replaced_only_where_names_stand():
    """An activation that is called like its function is still that function."""
    fingerprints = {activation(f, name=f) for f in ("relu", "tanh", "sigmoid")}
    assert len({fingerprint(model) for model in fingerprints}) == 3
    expected = fingerprint(activation("relu", name="a"))
    for name in ("relu", "tanh", "Activation", "float32", "keras.layers", "Dense"):
        assert fingerprint(activation("relu", name=name)) == expected
    assert fingerprint(sequential(keras.layers.Softmax(name="softmax"))) == fingerprint(
        sequential(keras.layers.Softmax(name="b"))
    )


def functional(one, other, swapped=False):
    """Return a model with two branches, each with a name, whose difference is its output."""
    inputs = {name: keras.Input((2,), name=name) for name in ("left", "right")}
    branches = [
        keras.layers.Dense(2, kernel_initializer="ones", activation="relu", name=name)(x)
        for name, x in zip((one, other), inputs.values())
    ]
    return keras.Model(inputs, keras.layers.Subtract()(branches[::-1] if swapped else branches))


def test_names_of_a_graph():
    expected = fingerprint(functional("a", "b"))
    assert fingerprint(functional("relu", "left_branch")) == expected
    assert fingerprint(functional("a", "b", swapped=True)) != expected


@pytest.mark.parametrize(
    "layer", [SlashedNormalSampling, lambda: FixedRateVIB(2.0, "instance", inference="sample")]
)
def test_tracked_rates_do_not_matter(layer):
    """A decoder that draws is the same after `evaluate` with a monitor, and a training call."""
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(2)(layer()(keras.layers.Dense(8)(inputs))))
    model.compile("sgd", "mse")
    x, y = np.ones((4, 6), "float32"), np.ones((4, 2), "float32")
    expected = fingerprint(model)
    model.evaluate(x, y, verbose=0, callbacks=[RateMonitor()])
    assert fingerprint(model) == expected
    model(x, training=True)
    assert fingerprint(model) == expected
    model.layers[1].bias.assign(model.layers[1].bias + 1.0)
    assert fingerprint(model) != expected


def shared(count):
    """Return a model with a learned rate, which also belongs to `count` other layers of it."""
    rate = CommittedRate(2.0)
    FixedRateVIB(rate, kl_weight=1.0)  # a layer elsewhere has it too
    layers = [FixedRateVIB(rate, kl_weight=1.0) for _ in range(count + 1)]
    layers += [FixedRateVIB(CommittedRate(2.0), kl_weight=1.0) for _ in range(2 - count)]
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layer(inputs) for layer in layers])


def test_a_rate_that_layers_share(tmp_path):
    """Keras marks it by an address in memory, which is another one in each process."""
    found = {}
    for count in (0, 1):
        model = shared(count)
        found[count] = fingerprint(model)
        assert fingerprint(shared(count)) == found[count]
        model.save(tmp_path / "model.keras")
        assert fingerprint(keras.models.load_model(tmp_path / "model.keras")) == found[count]
    assert found[0] != found[1]


def test_a_lambda_has_no_fingerprint():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2.0 * x)])
    with pytest.raises(ValueError, match="must not contain a lambda"):
        fingerprint(model)
