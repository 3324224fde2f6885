"""Exported models: every format that Keras offers, on every backend.

`python -m tests.keras_slashed.export.export_table` writes the table of what is tested here.
"""

import os

import keras
import numpy as np
import pytest

from tests.keras_slashed.export.cells import CLEAR_ERROR
from tests.keras_slashed.export.cells import NOT_AT_HAND
from tests.keras_slashed.export.cells import cell
from tests.keras_slashed.export.cells import check_equal
from tests.keras_slashed.export.cells import check_message
from tests.keras_slashed.export.cells import expected
from tests.keras_slashed.export.formats import FILES
from tests.keras_slashed.export.formats import load
from tests.keras_slashed.export.formats import missing_packages
from tests.keras_slashed.export.formats import write
from tests.keras_slashed.export.pieces import INFERENCES
from tests.keras_slashed.export.pieces import PIECES
from tests.keras_slashed.export.pieces import make_piece
from tests.keras_slashed.export.pieces import rows
from tests.keras_slashed.export.pieces import sampling_layer
from tests.support import BACKEND

# OpenVINO's converter forks, which JAX's own hook answers with a warning.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.every_case,
]
only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="TFSMLayer is TensorFlow's")


def skip_without_noise_at_hand(format):
    if expected(format, "sample") != CLEAR_ERROR:
        pytest.skip(f"{format} on {BACKEND}: {expected(format, 'sample')}")


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("format", FILES)
def test_cell(format, piece, inference, tmp_path):
    if expected(format, inference) == NOT_AT_HAND:
        pytest.skip(f"not installed: {', '.join(missing_packages(format))}")
    assert cell(format, piece, inference, tmp_path) == expected(format, inference)


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_model_that_could_not_be_exported(format, tmp_path):
    """No file is left, the model works on, and its mean can be exported."""
    skip_without_noise_at_hand(format)
    model = make_piece("classifier", "sample")
    with pytest.raises((ValueError, RuntimeError)):
        write(model, format, tmp_path)
    assert os.listdir(tmp_path) == []
    x = rows(model, 5)
    assert (model.predict(x, verbose=0) != model.predict(x, verbose=0)).any()
    sampling_layer(model).inference = "mean"
    check_equal(load(write(model, format, tmp_path), format), model)


def test_fixed_batch_size(tmp_path):
    """Where the converter folds constants, the noise of one draw would be that of all."""
    skip_without_noise_at_hand("onnx")
    model = make_piece("bottleneck", "sample")
    signature = [keras.InputSpec(shape=(5, 8), dtype="float32")]
    with pytest.raises(ValueError, match="draws at inference") as caught:
        write(model, "onnx", tmp_path, input_signature=signature)
    check_message(caught.value, "onnx")


@only_tensorflow
def test_pieces_in_other_models(tmp_path):
    """A reloaded encoder and bottleneck are layers, before a head that is trained."""
    pieces = {name: make_piece(name, "mean") for name in ("encoder", "bottleneck")}
    layers = {}
    for name, model in pieces.items():
        path = write(model, "tf_saved_model", os.path.join(tmp_path, name))
        layers[name] = keras.layers.TFSMLayer(path, call_endpoint="serve", trainable=False)
    x = rows(pieces["encoder"], 32)
    amplitude = keras.layers.Dense(8, name="amplitude")
    inputs = keras.Input((6,))
    latent = layers["bottleneck"](amplitude(layers["encoder"](inputs)))
    model = keras.Model(inputs, keras.layers.Dense(1)(latent))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    history = model.fit(x, x[:, :1], epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    inner = amplitude(pieces["encoder"](x))
    actual = keras.Model(inputs, latent)(x)
    np.testing.assert_allclose(actual, pieces["bottleneck"](inner), rtol=1e-5, atol=1e-6)


@only_tensorflow
@pytest.mark.parametrize("inference", INFERENCES)
def test_gradient_of_a_saved_model(inference, tmp_path):
    """Differentiate in the inputs, as an attack does: through the mean, or a draw and stdplus."""
    import tensorflow as tf

    model = make_piece("encoder", inference)
    generator = sampling_layer(model).seed_generator
    start = keras.ops.copy(generator.state)
    loaded = tf.saved_model.load(write(model, "tf_saved_model", tmp_path))
    x = tf.constant(rows(model, 5))
    gradients = []
    for function in (loaded.serve, model):
        generator.state.assign(start)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(function(x) ** 2)
        gradients.append(tape.gradient(y, x))
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)
    assert np.abs(gradients[0]).max() > 0.1
