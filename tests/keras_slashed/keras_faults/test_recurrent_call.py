"""A layer in the cell of a recurrent layer: every step counts once, or an error says why not."""

import keras
import numpy as np
import pytest

from keras_slashed.calibration import calibrate
from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND
from tests.support import to_numpy

ROWS, STEPS, SIZE = 3, 5, 8
# The first step has another rate than the others, so that it shows if it counts once more.
X = np.ones((ROWS, STEPS, SIZE), "float32")
X[:, 0] = 2.0
RATES = [4.0 * SIZE] + [SIZE] * (STEPS - 1)
traced_loops = pytest.mark.skipif(BACKEND == "torch", reason="PyTorch's loops run in Python")


class _Cell(keras.layers.Layer):
    """Draw from each step's input, at whose rate the state does not matter."""

    def __init__(self, latent):
        super().__init__(name="cell")
        self.latent = latent
        self.state_size = SIZE

    def build(self, shape):
        self.latent.build(shape)

    def call(self, inputs, states, training=None):
        z = self.latent(inputs + 0.0 * states[0], training=training)
        state = keras.ops.concatenate([z, z], axis=-1)
        return state, [state]


def sampling(**arguments):
    return SlashedNormalSampling(name="latent", seed=0, **arguments)


def recurrent(cell, **arguments):
    """Return a compiled model of an encoder and a recurrent layer."""
    layers = [
        keras.Input((STEPS, SIZE)),
        keras.layers.Dense(SIZE, kernel_initializer="identity"),
        keras.layers.RNN(cell, unroll=arguments.pop("unroll", False)),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.0), **arguments)
    return model


def assert_every_step_counts_once(model, cells=1):
    history = model.fit(X, batch_size=ROWS, verbose=0, callbacks=[RateMonitor()]).history
    np.testing.assert_allclose(history["loss"], [cells * sum(RATES)], rtol=1e-5)
    rates = [value for name, value in history.items() if name.endswith("_rate")]
    np.testing.assert_allclose(rates, cells * [[np.mean(RATES)]], rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(X, verbose=0), cells * sum(RATES), rtol=1e-5)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_unrolled(run_eagerly):
    model = recurrent(_Cell(sampling()), unroll=True, run_eagerly=run_eagerly)
    assert_every_step_counts_once(model)


def test_stacked_cells():
    """Which Keras calls once more, outside of its loop, for dropout masks they do not have."""

    class Other(_Cell):
        def build(self, shape):
            pass

        def call(self, inputs, states, training=None):
            return inputs, states

    cells = keras.layers.StackedRNNCells([_Cell(sampling()), Other(keras.layers.Identity())])
    assert_every_step_counts_once(recurrent(cells, unroll=True))


@pytest.mark.skipif(BACKEND == "jax", reason="JAX traces the loop")
def test_a_loop_in_python_counts_every_step_once():
    """Keras calls the cell once more before the loop, for the shape of its outputs."""
    assert_every_step_counts_once(recurrent(_Cell(sampling()), run_eagerly=True))


@traced_loops
@pytest.mark.parametrize("kl_weight", [1.0, 0.0])
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_traced_loop_is_refused(method, kl_weight):
    """What comes out of it else is an error of TensorFlow or JAX, for a weight of 0 too."""
    model = recurrent(_Cell(sampling(kl_weight=kl_weight)))
    expected = r"Layer '.*latent' is called in .*RNN\(cell, unroll=True\)`\. Received: unroll=F"
    with pytest.raises(ValueError, match=expected):
        getattr(model, method)(X, verbose=0)


@traced_loops
def test_a_bottleneck_is_refused():
    model = recurrent(_Cell(FixedRateVIB(2.0, name="latent")))
    with pytest.raises(ValueError, match=r"Layer '.*sampling' is called .*unroll=True"):
        model.fit(X, verbose=0)


@pytest.mark.parametrize("make", [lambda **arguments: FixedRateVIB(2.0, **arguments), sampling])
def test_a_loop_predicts(make):
    """Nothing is lost where there is no loss and no noise."""
    model = recurrent(_Cell(make(inference="mean")))
    mean = np.sqrt(2.0) * X[:, -1]
    np.testing.assert_allclose(model.predict(X, verbose=0), mean, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(model(X)), mean, rtol=1e-6)


@pytest.mark.skipif(BACKEND != "jax", reason="elsewhere the noise of a loop is new in each step")
def test_noise_in_a_loop_is_refused():
    """Without jit each step would draw the same noise; with it JAX raises an error of its own."""
    model = recurrent(_Cell(sampling()))
    for call in (model, lambda x: model.predict(x, verbose=0)):
        with pytest.raises(ValueError, match="discards its loss"):
            call(X)


# --- The statistics of a normalization in a cell

# The mean square of the amplitudes of each step, of which the first differs.
SQUARES = np.square(X).sum(-1).mean(0)


def normalizing(layer, **arguments):
    model = recurrent(_Normalizing(layer), **arguments)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


class _Normalizing(_Cell):
    def call(self, inputs, states, training=None):
        z = self.latent(inputs + 0.0 * states[0], training=training)
        return keras.ops.concatenate([z] * (SIZE // z.shape[-1]), axis=-1), [states[0]]


@pytest.mark.parametrize("make", [RateNormalization, FixedRateVIB])
@pytest.mark.parametrize("unroll", [False, True])
def test_every_step_enters_the_statistics_once(unroll, make):
    """Keras calls the cell once more before a loop, which used to count the first step twice."""
    if not unroll and (BACKEND == "jax" or (BACKEND, make) == ("tensorflow", FixedRateVIB)):
        pytest.skip("this backend refuses such a loop")
    layer = make(2.0, name="latent")
    normalization = getattr(layer, "rate_normalization", layer)
    model = normalizing(layer, unroll=unroll)
    model.fit(X, np.zeros((ROWS, SIZE)), batch_size=ROWS, verbose=0)
    expected, weight = 0.0, 0.0
    for square in SQUARES:
        expected, weight = 0.9 * expected + 0.1 * square, 0.9 * weight + 0.1
    np.testing.assert_allclose(to_numpy(normalization.moving_weight), weight, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(normalization.moving_mean_square), expected, rtol=1e-5)


@pytest.mark.parametrize("unroll", [False, True])
def test_calibration_counts_every_step_once(unroll):
    layer = RateNormalization(2.0, name="latent")
    model = normalizing(layer, unroll=unroll)
    if not unroll and BACKEND != "torch":
        with pytest.raises(ValueError, match=r"'.*latent' is called .*statistics.*unroll=True"):
            calibrate(model, X)
        return
    calibrate(model, X)
    np.testing.assert_allclose(to_numpy(layer.moving_mean_square), SQUARES.mean(), rtol=1e-6)


@pytest.mark.skipif(BACKEND != "jax", reason="elsewhere a variable can be assigned in a loop")
@pytest.mark.parametrize("normalization", ["batch", "instance"])
def test_statistics_in_a_loop_are_refused(normalization):
    """JAX itself says that a tracer leaked."""
    model = normalizing(RateNormalization(2.0, normalization, name="latent"))
    with pytest.raises(ValueError, match=r"'.*latent' is called .*statistics.*unroll=True"):
        model.fit(X, np.zeros((ROWS, SIZE)), verbose=0)
