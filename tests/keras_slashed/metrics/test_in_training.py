"""Tests of every metric: compiled and stateless updates, `fit`, configurations."""

import keras
import numpy as np
import pytest

from keras_slashed.metrics import ActiveUnits
from keras_slashed.metrics import ImportanceWeightedNLL
from keras_slashed.metrics import MutualInformation
from keras_slashed.metrics import Rate
from keras_slashed.metrics import active_units
from keras_slashed.metrics import rate
from tests.support import BACKEND
from tests.support import compiled
from tests.support import run_python

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
METRICS = {
    "rate": lambda: Rate(),
    "active_units": lambda: ActiveUnits(threshold=1.0),
    "mutual_information": lambda: MutualInformation(capacity=40, seed=3),
    "importance_weighted_nll": lambda: ImportanceWeightedNLL(),
}


@pytest.fixture(params=METRICS)
def make(request):
    def built():
        metric = METRICS[request.param]()
        if hasattr(metric, "build"):
            metric.build((None, 6))
        return metric

    return built


@pytest.fixture
def batches():
    return [keras.ops.convert_to_tensor(batch) for batch in np.split(X, 4)]


def eager(metric, batches):
    for batch in batches:
        metric.update_state(batch)
    return float(metric.result())


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow draws other numbers under XLA")
def test_stateless(make, batches):
    """A compiled function of the state alone, as JAX wants it."""
    metric = make()
    update = metric.stateless_update_state
    update = compiled(update) if BACKEND == "jax" else update
    variables = [variable.value for variable in metric.variables]
    for batch in batches:
        variables = update(variables, batch)
    assert all(float(keras.ops.min(v == w)) for v, w in zip(metric.variables, make().variables))
    computed = float(metric.stateless_result(variables))
    np.testing.assert_allclose(computed, eager(make(), batches), rtol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function")
def test_tf_function(make, batches):
    """Built within it, with a batch of unknown size."""
    import tensorflow as tf

    metric, other = METRICS[make().name](), make()
    spec = tf.TensorSpec((None, 6))
    update = tf.function(metric.update_state, input_signature=[spec])
    for batch in batches:
        update(batch)
    np.testing.assert_allclose(float(metric.result()), eager(other, batches), rtol=1e-5)


def test_configuration(make):
    metric = make()
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert config["registered_name"] == f"keras_slashed>{type(metric).__name__}"


class Bottleneck(keras.Model):
    """Metrics of the amplitude, updated in `compute_loss`: `fit` and `evaluate` report them."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.layers.Dense(8)
        self.head = keras.layers.Dense(1)
        self.rate = Rate()
        self.active_units = ActiveUnits(threshold=0.5)
        self.mutual_information = MutualInformation(capacity=32, seed=0)
        for metric in (self.active_units, self.mutual_information):
            metric.build((None, 8))

    def call(self, x):
        amplitude = self.encoder(x)
        return {"y": self.head(amplitude), "amplitude": amplitude}

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        for metric in (self.rate, self.active_units, self.mutual_information):
            metric.update_state(y_pred["amplitude"])
        return keras.ops.mean(keras.ops.square(y - y_pred["y"]))


def test_in_fit():
    model = Bottleneck()
    model.compile(keras.optimizers.SGD(0.0), jit_compile=BACKEND == "jax")
    y = np.zeros((64, 1))
    history = model.fit(X, y, batch_size=16, epochs=2, verbose=0).history
    logs = model.evaluate(X, y, batch_size=16, verbose=0, return_dict=True)
    expected_rate = rate(model.encoder, X)
    expected_units = active_units(model.encoder, X, threshold=0.5)
    assert 0 < expected_units
    for name, expected in (("rate", expected_rate), ("active_units", expected_units)):
        np.testing.assert_allclose([*history[name], logs[name]], expected, rtol=1e-5)
    for estimate in (*history["mutual_information"], logs["mutual_information"]):
        assert 0.0 < estimate <= np.log(32) + 1e-5
    # A sample of 32 of 64: another one in each epoch.
    assert history["mutual_information"][0] != history["mutual_information"][1]


@pytest.mark.skipif(BACKEND != "jax", reason="Keras' NumPy backend imports JAX itself")
def test_on_the_numpy_backend():
    script = """
import numpy as np
from keras_slashed import metrics

x = np.random.default_rng(0).normal(size=(20, 4))
encoder = lambda x: x
log_likelihood = lambda x, z: -np.sum(np.abs(x[:, :2] - z), axis=-1)
print(metrics.rate(encoder, x) - np.mean(np.sum(x**2, axis=1)) < 1e-5)
print(metrics.active_units(encoder, x))
print(metrics.mutual_information(encoder, x).estimate > 0.1)
print(np.isfinite(metrics.importance_weighted_nll(encoder, log_likelihood, x, 5).estimate))
metric = metrics.MutualInformation(capacity=8)
metric.update_state(x)
print(float(metric.result()) > 0.1)
"""
    output, _ = run_python(script, KERAS_BACKEND="numpy")
    assert output.split() == ["True", "2", "True", "True", "True"]
