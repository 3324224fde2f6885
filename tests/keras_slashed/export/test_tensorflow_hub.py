"""Reusable SavedModels in TensorFlow Hub itself, and trained in models of tf_keras.

`nox -s "tests(tensorflow)"` runs these tests; elsewhere tensorflow_hub is not installed.
"""

import importlib.util
import re
import warnings

import keras
import numpy as np
import pytest

import keras_slashed
from keras_slashed.export import save_reusable
from tests.keras_slashed.export.test_reusable_saved_model import check_alike
from tests.keras_slashed.export.test_reusable_saved_model import make_model
from tests.keras_slashed.export.test_reusable_saved_model import rows
from tests.keras_slashed.export.test_reusable_saved_model import values
from tests.support import run_python

if importlib.util.find_spec("tensorflow_hub") is None:
    pytest.skip("tensorflow_hub is not installed", allow_module_level=True)
if keras.backend.backend() != "tensorflow":
    pytest.skip("written on TensorFlow alone", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # tensorflow_hub's own imports
    import tensorflow_hub as hub
    import tf_keras


@pytest.fixture
def saved(tmp_path):
    """A Keras model and where it was written."""
    model = make_model()
    save_reusable(model, tmp_path / "saved")
    return model, str(tmp_path / "saved")


def keras_step(model, x, y, learning_rate):
    """Train a Keras model one step of gradient descent; return the loss."""
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model.train_on_batch(x, y)


def hub_step(model, x, y, learning_rate):
    """The same for a model of tf_keras."""
    model.compile(tf_keras.optimizers.SGD(learning_rate), "mse")
    return model.train_on_batch(x, y)


def test_load_without_this_library(saved):
    """Load in another process, which does not import the library."""
    model, path = saved
    script = f"""
import sys
import numpy as np
import tensorflow_hub as hub
loaded = hub.load({path!r})
x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
loaded(x), loaded(x, training=True)
print(*loaded(x).numpy().ravel())
assert "keras_slashed" not in sys.modules
"""
    printed, _ = run_python(script)
    x = rows(5)
    model(x), model(x, training=True)
    np.testing.assert_allclose(
        np.array(printed.split(), "float32"), np.ravel(model(x)), rtol=1e-4, atol=1e-5
    )


def test_a_step_of_training(saved):
    """Loss and all weights as after the step that the Keras model itself takes."""
    model, path = saved
    layer = hub.KerasLayer(path, trainable=True)
    trained = tf_keras.Sequential([tf_keras.Input((6,)), layer])
    x, y = rows(8), rows(8, seed=1)[:, :2]
    for _ in range(2):
        loss = hub_step(trained, x, y, 0.05)
        np.testing.assert_allclose(loss, keras_step(model, x, y, 0.05), rtol=1e-4)
    variables = model.trainable_variables + model.non_trainable_variables
    check_alike(values(layer._func.variables), values(variables), rtol=1e-3)
    # And the loss at inference, with its rates.
    loss = trained.test_on_batch(x, y)
    np.testing.assert_allclose(loss, model.test_on_batch(x, y), rtol=1e-4)


def test_returned_loss_reaches_layers_before(saved):
    """The weights equal those of Keras' step, also for a layer before the model."""
    model, path = saved
    x, y = rows(8), rows(8, seed=1)[:, :2]
    kernel = rows(6, seed=2) / 2.0

    before = keras.layers.Dense(6, use_bias=False)
    expected = keras.Sequential([keras.Input((6,)), before, model])
    before.set_weights([kernel])

    inputs = tf_keras.Input((6,))
    actual_before = tf_keras.layers.Dense(6, use_bias=False)
    layer = hub.KerasLayer(path, trainable=True, arguments={"return_loss": True})
    outputs, loss = layer(actual_before(inputs))
    actual = tf_keras.Model(inputs, outputs)
    actual.add_loss(loss)
    actual_before.set_weights([kernel])

    loss = keras_step(expected, x, y, 0.05)
    np.testing.assert_allclose(hub_step(actual, x, y, 0.05), loss, rtol=1e-4)
    check_alike(actual_before.get_weights(), before.get_weights(), rtol=1e-3)
    assert np.abs(before.get_weights()[0] - kernel).max() > 1e-3
    check_alike(
        values(layer._func.trainable_variables), values(model.trainable_variables), rtol=1e-3
    )


def test_frozen(saved):
    """As TensorFlow Hub has it by default: nothing of it changes but the noise, and no loss."""
    _, path = saved
    layer = hub.KerasLayer(path)
    trained = tf_keras.Sequential([tf_keras.Input((6,)), layer, tf_keras.layers.Dense(2)])
    x, y = rows(8), rows(8, seed=1)[:, :2]
    weights = [v for v in layer._func.variables if v.dtype == "float32"]
    before = values(weights)
    hub_step(trained, x, y, 0.05)
    for value, expected in zip(values(weights), before):
        np.testing.assert_array_equal(value, expected)
    assert sum(float(loss) for loss in trained.losses) == 0.0


def test_examples(tmp_path, monkeypatch):
    """Those of the docstring run, and the loss falls, with the rate in it."""
    monkeypatch.chdir(tmp_path)
    returned, fitted = re.findall(r"```python\n(.*?)```", save_reusable.__doc__, re.DOTALL)
    x = np.repeat(rows(16), 16, axis=0)
    names = {"keras": keras, "keras_slashed": keras_slashed, "hub": hub, "tf_keras": tf_keras}
    names |= {"x": x, "y": x[:, :1]}
    exec(_dedented(fitted), names)
    history = names["model"].fit(x, x[:, :1], epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    _, loss = hub.load("encoder")(x, training=True, return_loss=True)
    names["inputs"] = tf_keras.Input((6,))
    exec(_dedented(returned), names)
    names["model"].compile("sgd", "mse")
    measured = names["model"].evaluate(x, np.zeros((len(x), 4)), batch_size=len(x), verbose=0)
    assert measured > float(loss) > 0.1


def _dedented(text):
    return "\n".join(line[4:] for line in text.splitlines())
