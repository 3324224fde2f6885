"""KLWarmup and CyclicalAnnealing: the weight that each training step really uses.

The loss of these models is the weighted rate alone, so the loss of an epoch tells the
mean of the weights in it, compiled or not.
"""

import os

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import CyclicalAnnealing
from keras_slashed.callbacks import KLWarmup
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND

RATE = 4.0  # of each row of ones
BATCHES = 5
X = np.ones((8 * BATCHES, 4), "float32")


def model_of(*layers, **compile_arguments):
    model = keras.Sequential([keras.Input((4,)), *layers])
    # Nothing but the layers' loss, and a learning rate of 0 to keep it.
    arguments = {"jit_compile": BACKEND == "jax", **compile_arguments}
    model.compile(keras.optimizers.SGD(0.0), **arguments)
    return model


def sampling(kl_weight=1.0, name="latent"):
    return SlashedNormalSampling(kl_weight=kl_weight, name=name)


def dense():
    """Return a layer with something to train, which does nothing."""
    return keras.layers.Dense(4, kernel_initializer="identity")


def losses(model, callback, epochs, **arguments):
    history = model.fit(
        X, batch_size=8, epochs=epochs, verbose=0, callbacks=[callback], **arguments
    )
    return history.history["loss"]


def mean_factors(factor, epochs):
    """Return the mean over the steps of each epoch of what a schedule should be."""
    steps = np.arange(epochs * BATCHES).reshape(epochs, BATCHES)
    return np.vectorize(factor)(steps).mean(axis=1)


def linear_12(step):
    return min(step / 12, 1)


def test_warmup_by_step():
    """12 steps end within the third epoch; every step has its own weight."""
    computed = losses(model_of(dense(), sampling()), KLWarmup(steps=12), epochs=4)
    np.testing.assert_allclose(computed, RATE * mean_factors(linear_12, 4), rtol=1e-5)


def test_warmup_by_epoch():
    computed = losses(model_of(dense(), sampling()), KLWarmup(epochs=2), epochs=4)
    np.testing.assert_allclose(computed, RATE * np.array([0, 0.5, 1, 1]), rtol=1e-5)


def test_run_eagerly():
    model = model_of(dense(), sampling(), jit_compile=False, run_eagerly=True)
    computed = losses(model, KLWarmup(steps=12), epochs=3)
    np.testing.assert_allclose(computed, RATE * mean_factors(linear_12, 3), rtol=1e-5)


@pytest.mark.parametrize("callback", [KLWarmup(epochs=2), KLWarmup(steps=10)])
def test_model_without_an_input(callback):
    """TensorFlow builds it in its first step: the weight is right there already."""
    model = keras.Sequential([dense(), sampling()])
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    computed = losses(model, callback, epochs=2)
    expected = [0, 0.5] if callback.epochs else mean_factors(lambda step: step / 10, 2)
    np.testing.assert_allclose(computed, RATE * np.array(expected), rtol=1e-5)


def test_cycles_by_step():
    """Two cycles of 6 steps: 0, 1/3, 2/3, 1, 1, 1, twice, then 1."""
    cycle = [0, 1 / 3, 2 / 3, 1, 1, 1]
    schedule = [*cycle, *cycle, *[1] * 3]
    callback = CyclicalAnnealing(steps=12, cycles=2)
    computed = losses(model_of(dense(), sampling()), callback, epochs=3)
    np.testing.assert_allclose(
        computed, RATE * np.reshape(schedule, (3, BATCHES)).mean(axis=1), rtol=1e-5
    )


def test_cycles_by_epoch_with_a_ratio():
    callback = CyclicalAnnealing(epochs=8, cycles=2, ratio=0.75)
    computed = losses(model_of(dense(), sampling()), callback, epochs=9)
    cycle = [0, 1 / 3, 2 / 3, 1]
    np.testing.assert_allclose(computed, RATE * np.array([*cycle, *cycle, 1]), rtol=1e-5)


def test_every_cycle_begins_at_zero():
    """Also where the product of a fraction and the number of cycles rounds to below a whole one."""
    assert CyclicalAnnealing(epochs=44, cycles=22).factor(30 / 44) == 0.0
    for cycles in (1, 2, 3, 7, 22, 49, 100, 1000):
        for length in (1, 2, 3, 7, 10, 49, 1001):
            total = cycles * length
            callback = CyclicalAnnealing(steps=total, cycles=cycles)
            weights = np.array([callback.value_at(time) for time in range(total)])
            tau = np.arange(length) / length
            expected = np.tile(np.minimum(tau / 0.5, 1.0), cycles)
            np.testing.assert_array_equal(weights[::length], 0.0)
            np.testing.assert_allclose(weights, expected, atol=1e-9)
            assert callback.value_at(total) == 1.0


def test_each_layer_keeps_its_own_weight():
    """A beta of 3 grows to 3, and a FixedRateVIB, whose weight is 0, stays at 0."""
    inputs = keras.Input((4,))
    outputs = keras.layers.Concatenate()(
        [sampling(3.0, "one")(inputs), keras.Sequential([dense(), sampling(name="two")])(inputs)]
    )
    outputs = FixedRateVIB(2.0, name="vib")(outputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=BACKEND == "jax")
    callback = KLWarmup(epochs=2)
    history = model.fit(X, batch_size=8, epochs=3, verbose=0, callbacks=[callback]).history
    np.testing.assert_allclose(history["one_kl_weight"], [0, 1.5, 3])
    np.testing.assert_allclose(history["two_kl_weight"], [0, 0.5, 1])
    np.testing.assert_allclose(history["vib_kl_weight"], [0, 0, 0])
    np.testing.assert_allclose(history["loss"], [0, 2 * RATE, 4 * RATE], rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: KLWarmup(steps=12), lambda: KLWarmup(epochs=3)])
def test_resumed_from_a_checkpoint(make, tmp_path):
    whole = losses(model_of(dense(), sampling()), make(), epochs=4)
    model = model_of(dense(), sampling())
    path = os.path.join(tmp_path, "model.keras")
    first = losses(model, make(), epochs=2)
    model.save(path)
    loaded = keras.saving.load_model(path)
    second = losses(loaded, make(), epochs=4, initial_epoch=2)
    np.testing.assert_allclose([*first, *second], whole, rtol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="torch has one step an execution")
def test_steps_per_execution():
    """The steps of one execution share the weight of the first."""
    model = model_of(dense(), sampling(), steps_per_execution=BATCHES)
    computed = losses(model, KLWarmup(steps=10), epochs=3)
    np.testing.assert_allclose(computed, RATE * np.array([0, 0.5, 1]), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KLWarmup(), "`steps` and `epochs`.*steps=None, epochs=None"),
        (lambda: KLWarmup(steps=3, epochs=2), "steps=3, epochs=2"),
        (lambda: KLWarmup(steps=0), "`steps` must be a positive integer.*steps=0"),
        (lambda: KLWarmup(epochs=1.5), "`epochs` must be a positive integer.*epochs=1.5"),
        (lambda: CyclicalAnnealing(steps=9, cycles=0), "`cycles`.*cycles=0"),
        (lambda: CyclicalAnnealing(steps=9, ratio=0.0), "`ratio`.*ratio=0.0"),
        (lambda: CyclicalAnnealing(steps=9, ratio=float("nan")), "`ratio`.*ratio=nan"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("callback", [KLWarmup(steps=3), CyclicalAnnealing(epochs=3)])
def test_no_layer_to_anneal(callback):
    """Without this error, a typing error in a model would look like a KL of 0."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=f"{type(callback).__name__} found no layer with a KL"):
        model.fit(X, X, verbose=0, callbacks=[callback])


class _BuiltLater(keras.Model):
    """A model that creates its layers when Keras builds it."""

    def build(self, shape):
        self.dense, self.latent = dense(), sampling()
        self.dense.build(shape)
        self.latent.build(shape)
        self.built = True

    def call(self, inputs, training=None):
        return self.latent(self.dense(inputs), training=training)


@pytest.mark.parametrize("built", [True, False])
def test_layers_that_are_created_later(built):
    """TensorFlow would build the model in a step that already needs the weight."""
    model = _BuiltLater()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    if built:
        model.build((None, 4))
    if BACKEND == "tensorflow" and not built:
        with pytest.raises(ValueError, match="build it before `fit`"):
            losses(model, KLWarmup(epochs=2), epochs=1)
    else:
        computed = losses(model, KLWarmup(epochs=2), epochs=2)
        np.testing.assert_allclose(computed, [0.0, 0.5 * RATE], rtol=1e-5)


class _OwnOptimizer(keras.Model):
    """A model that trains by another optimizer than `self.optimizer`."""

    def __init__(self):
        super().__init__()
        self.layer, self.latent = dense(), sampling()
        self.own_optimizer = keras.optimizers.SGD(0.0)

    def call(self, x, training=None):
        return self.latent(self.layer(x), training=training)

    def train_step(self, *arguments):
        logs = {"loss": 0.0}  # what it does has no effect on `self.optimizer`
        return (logs, arguments[0]) if BACKEND == "jax" else logs


def test_an_optimizer_that_is_not_used_does_not_count():
    model = _OwnOptimizer()
    model.compile("sgd")
    with pytest.warns(UserWarning, match="KLWarmup counts the updates of `model.optimizer`"):
        model.fit(X, batch_size=8, verbose=0, callbacks=[KLWarmup(steps=4)])


def test_the_same_callback_in_another_fit():
    callback, model = KLWarmup(epochs=2), model_of(dense(), sampling())
    for _ in range(2):
        np.testing.assert_allclose(losses(model, callback, epochs=1), [0.0])


def test_finished_callback_in_another_fit():
    callback = KLWarmup(steps=BATCHES)
    expected = RATE * mean_factors(lambda step: min(step / BATCHES, 1.0), 2)
    for _ in range(2):
        computed = losses(model_of(dense(), sampling()), callback, epochs=2)
        np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_an_epoch_without_an_update_of_an_accumulating_optimizer():
    """No warning: the update comes in the next epoch."""
    model = model_of(dense(), sampling())
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2 * BATCHES)
    model.compile(optimizer, jit_compile=BACKEND == "jax")
    computed = losses(model, KLWarmup(steps=2), epochs=4)
    np.testing.assert_allclose(computed, RATE * np.array([0.0, 0.0, 0.5, 0.5]), rtol=1e-5)
