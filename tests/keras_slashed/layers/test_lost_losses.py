"""The losses of all layers and of all their calls reach the loss of a step, each once."""

import gc

import keras
import numpy as np
import pytest

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND
from tests.support import run_python
from tests.support import to_numpy

X = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")
RATE = np.mean(np.sum(np.float64(X) ** 2, axis=-1))
LEARNING_RATE = 0.01


@pytest.mark.skipif(BACKEND != "jax", reason="other backends keep a layer's losses in the layer")
def test_no_layer_drops_the_loss_of_another():
    """Without jit each step has losses again, in memory that others have left."""
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


def fixed_rate(**arguments):
    """Return a layer that leaves the amplitude as it is, of which it scales the real part."""
    return FixedRateVIB(2.0, "instance", "mean", kl_weight=1.0, **arguments)


def submodel():
    """Return a functional model that calls a layer on its input once."""
    inputs = keras.Input((8,))
    return keras.Model(inputs, SlashedNormalSampling(name="latent")(inputs))


def subclassed():
    """Return a model that calls a layer on its input once."""
    return _Subclassed()


class _Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="part")
        self.latent = SlashedNormalSampling()

    def build(self, shape):
        self.latent.build(shape)

    def call(self, inputs, training=None):
        return self.latent(inputs, training=training)


class _Calls(keras.Model):
    """Call a layer on `scale * encoded` for several scales, one after the other."""

    def __init__(self, latent, scales, **encoder):
        super().__init__(name="calls")
        self.encoder = keras.layers.Dense(8, kernel_initializer="identity", **encoder)
        self.latent, self.scales = latent, scales

    def build(self, shape):
        self.encoder.build(shape)
        if not self.latent.built:
            self.latent.build(shape)

    def call(self, inputs, training=None):
        encoded = self.encoder(inputs)
        return sum(self.latent(scale * encoded, training=training) for scale in self.scales)


def fitted(model, x=X, **arguments):
    """Compile, train for two steps without any other loss, and return both losses."""
    model.compile(keras.optimizers.SGD(LEARNING_RATE), **arguments)
    return model.fit(x, batch_size=len(x), epochs=2, verbose=0).history["loss"]


def expected_training(scales, regularizer=0.0):
    """Return both losses and the kernel: `mean |x W|^2` times the sum of squared scales."""
    weight = sum(scale**2 for scale in scales) + regularizer
    x, kernel, bias, losses = np.float64(X), np.eye(8), np.zeros(8), []
    for _ in range(2):
        y = x @ kernel + bias
        losses.append(weight * np.mean(np.sum(y**2, axis=-1)))
        slope = weight * 2.0 * y / len(x)
        kernel, bias = kernel - LEARNING_RATE * x.T @ slope, bias - LEARNING_RATE * slope.sum(0)
    return losses, kernel


every_way = pytest.mark.parametrize("run_eagerly", [False, True])


@every_way
@pytest.mark.parametrize("scales", [(1.0, 2.0), (1.0, 0.5, 2.0, 3.0)])
@pytest.mark.parametrize("make", [SlashedNormalSampling, submodel, subclassed])
def test_every_call_counts(make, scales, run_eagerly):
    """In the loss and in the gradient: of twins, of a loop, of a model within the model."""
    model = _Calls(make(), scales)
    losses = fitted(model, run_eagerly=run_eagerly)
    expected, kernel = expected_training(scales)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(model.encoder.kernel), kernel, rtol=1e-4, atol=1e-6)
    model.encoder.kernel.assign(np.eye(8))
    model.encoder.bias.assign(np.zeros(8))
    np.testing.assert_allclose(model.evaluate(X, verbose=0), expected[0], rtol=1e-5)


def test_every_call_of_a_bottleneck_counts():
    """Whose parts are layers as well: 2 nats of the real part, the imaginary part as it is."""
    model = _Calls(fixed_rate(), (1.0, 2.0))
    imaginary = np.mean(np.sum(X[:, 4:] ** 2, axis=-1))
    np.testing.assert_allclose(fitted(model)[0], 2 * 2.0 + 5.0 * imaginary, rtol=1e-5)


def test_several_layers_and_one_of_keras():
    """Layers that are called twice, with other layers and with one of Keras' losses."""
    encoder = {"activity_regularizer": keras.regularizers.L2(0.5)}
    inputs = keras.Input((8,))
    first, second = SlashedNormalSampling(seed=0), SlashedNormalSampling(kl_weight=0.1, seed=1)
    encoded = keras.layers.Dense(8, kernel_initializer="identity", **encoder)(inputs)
    # Keras 3.12 does not divide it by the number of rows.
    alone = keras.Model(inputs, encoded)
    alone.compile()
    regularization = alone.evaluate(X, batch_size=len(X), verbose=0)
    outputs = [first(encoded), second(encoded), first(2.0 * encoded), second(3.0 * encoded)]
    losses = fitted(keras.Model(inputs, keras.layers.Add()(outputs)))
    assert regularization >= 0.5 * RATE * (1 - 1e-5)
    expected = regularization + RATE * (1 + 4 + 0.1 + 0.9)
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)


def test_every_step_of_time_counts_in_every_call():
    distributed = keras.layers.TimeDistributed(SlashedNormalSampling())
    model = _Calls(distributed, (1.0, 2.0))
    x = np.stack([X, 2.0 * X, 3.0 * X], axis=1)
    np.testing.assert_allclose(fitted(model, x)[0], 5.0 * 14.0 * RATE, rtol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="only there a layer knows its losses by their id")
@every_way
def test_no_loss_outlives_its_step(run_eagerly):
    """The layer remembers none of a trace, and holds none alive."""
    model = _Calls(SlashedNormalSampling(), (1.0, 2.0))
    fitted(model, run_eagerly=run_eagerly)
    gc.collect()
    assert not model.latent._loss_ids
    # Eager losses, another training, and those of the first step again.
    model(X)
    assert len(model.losses) == 2
    model.encoder.kernel.assign(np.eye(8))
    model.encoder.bias.assign(np.zeros(8))
    losses = fitted(model, run_eagerly=run_eagerly)
    np.testing.assert_allclose(losses, expected_training((1.0, 2.0))[0], rtol=1e-5)


def mirrored_training(latent, rows, strategy=None):
    """Train behind a regularized layer, on the replicas of a strategy; return what is learned."""
    keras.utils.set_random_seed(0)
    encoder = keras.layers.Dense(
        8, kernel_initializer="identity", activity_regularizer=keras.regularizers.L2(1.0)
    )
    decoder = keras.layers.Dense(1, kernel_initializer="ones", trainable=False)
    model = keras.Sequential([keras.Input((8,)), encoder, latent, decoder])
    model.compile(keras.optimizers.SGD(LEARNING_RATE))
    x = np.random.default_rng(0).normal(size=(rows, 8)).astype("float32")
    losses = model.fit(x, batch_size=32, epochs=2, shuffle=False, verbose=0).history["loss"]
    loss = model.evaluate(x, batch_size=32, verbose=0)
    return np.concatenate([losses, [loss], to_numpy(encoder.kernel).ravel()])


LATENTS = {
    "sampling": lambda: SlashedNormalSampling(seed=0),
    "free_bits": lambda: SlashedNormalSampling(free_bits=0.3, seed=0),
    "bottleneck": lambda: FixedRateVIB(2.0, kl_weight=1.0, synchronized=True, seed=0),
    "normalization": lambda: RateNormalization(2.0, "feature"),
    "without_weight": lambda: SlashedNormalSampling(kl_weight=0.0, seed=0),
    "fixed_rate": lambda: FixedRateVIB(2.0, seed=0),  # its kl_weight is 0
}
EMPTY = ("sampling", "free_bits", "bottleneck", "without_weight", "fixed_rate")


@pytest.fixture(scope="module")
def on_replicas(tmp_path_factory):
    """What two replicas of TensorFlow learn of 64 rows; and of 65, the last of them alone."""
    cases = [(name, 64) for name in ("sampling", "bottleneck", "normalization")]
    cases += [(name, 65) for name in EMPTY]
    path = tmp_path_factory.mktemp("mirrored") / "found.npz"
    script = f"""
import numpy as np
from applications.training import devices
from tests.keras_slashed.layers.test_lost_losses import LATENTS, mirrored_training
def work():
    return {{f"{{name}}/{{rows}}": mirrored_training(LATENTS[name](), rows)
            for name, rows in {cases}}}
np.savez({str(path)!r}, **devices.run_on_devices(2, work))
"""
    run_python(script, OMP_NUM_THREADS="1")
    with np.load(path) as found:
        return dict(found)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="replicas in threads that share layers")
@pytest.mark.parametrize("name", ["sampling", "bottleneck", "normalization"])
def test_replicas_do_not_mix_their_losses(on_replicas, name):
    """They wait for one another in the middle of a layer, and each clears the losses first."""
    expected = mirrored_training(LATENTS[name](), 64)
    np.testing.assert_allclose(on_replicas[f"{name}/64"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a replica without any row")
@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_replica_has_no_loss(on_replicas, name):
    assert np.isfinite(on_replicas[f"{name}/65"]).all()
