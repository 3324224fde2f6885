"""Reusable SavedModels compared with the Keras models they were written from."""

import keras
import numpy as np
import pytest

import keras_slashed
from keras_slashed.export import save_reusable
from tests.support import BACKEND
from tests.support import to_numpy

only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="written on TensorFlow alone")


def make_model():
    """Return a model whose loss has all that one can have.

    A fixed rate, a rate that depends on noise drawn before, and a weight regularizer.
    """
    inputs = keras.Input((6,))
    h = keras.layers.Dropout(0.3, seed=1)(inputs)
    h = keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.1))(h)
    h = keras.layers.BatchNormalization()(h)
    h = keras_slashed.layers.FixedRateVIB(2.0, kl_weight=0.5, seed=2)(h)
    h = keras.layers.Dense(10)(h)
    h = keras_slashed.layers.SlashedNormalSampling(kl_weight=0.25, seed=3)(h)
    return keras.Model(inputs, keras.layers.Dense(2)(h))


def rows(number, seed=0):
    return np.random.default_rng(seed).normal(size=(number, 6)).astype("float32")


def values(variables):
    return [to_numpy(v) for v in variables]


def saved_and_loaded(model, folder, **options):
    """Return what TensorFlow loads, which is what `hub.load` returns."""
    import tensorflow as tf

    save_reusable(model, folder / "saved", **options)
    return tf.saved_model.load(str(folder / "saved"))


def added_loss(loaded):
    return sum(loss() for loss in loaded.regularization_losses)


def loss_and_gradients(outputs_and_loss, variables):
    """Return a loss that depends on all, and its gradients, in NumPy."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs, loss = outputs_and_loss()
        loss += tf.reduce_sum(tf.cast(outputs, "float32") ** 2)
    return to_numpy(loss), [to_numpy(g) for g in tape.gradient(loss, variables)]


def check_alike(actual, expected, rtol=1e-4, atol=1e-4):
    keras.tree.assert_same_structure(actual, expected)
    for x, y in zip(keras.tree.flatten(actual), keras.tree.flatten(expected)):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


@pytest.mark.skipif(BACKEND == "tensorflow", reason="what other backends say")
def test_other_backend(tmp_path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=f"requires the TensorFlow backend.*='{BACKEND}'"):
        save_reusable(model, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


@only_tensorflow
def test_calls_gradients_and_statistics(tmp_path):
    """In training and at inference, each call of the loaded model equals that of Keras' model."""
    model = make_model()
    loaded = saved_and_loaded(model, tmp_path)
    assert len(loaded.variables) == len(model.variables)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    assert all(v.trainable for v in loaded.trainable_variables)
    assert len(loaded.regularization_losses) == 2
    # Before any call: the weight regularizer's, which Keras' model has too.
    np.testing.assert_allclose(added_loss(loaded), sum(model.losses), rtol=1e-6)
    for number, training in ((5, True), (3, False), (4, True), (1, False)):
        x = rows(number, seed=number)
        actual = loss_and_gradients(
            lambda x=x, training=training: (loaded(x, training=training), added_loss(loaded)),
            loaded.trainable_variables,
        )
        expected = loss_and_gradients(
            lambda x=x, training=training: (model(x, training=training), sum(model.losses)),
            [v.value for v in model.trainable_variables],
        )
        check_alike(actual, expected)
        variables = model.trainable_variables + model.non_trainable_variables
        check_alike(values(loaded.variables), values(variables))
        # As often as it is asked for.
        np.testing.assert_allclose(added_loss(loaded), sum(model.losses), rtol=1e-5)
    for training in (True, False):
        assert (loaded(x, training).numpy() != loaded(x, training).numpy()).any()


@only_tensorflow
def test_returned_loss(tmp_path):
    """It counts once, and has the same gradients, with those by the inputs."""
    import tensorflow as tf

    model = make_model()
    loaded = saved_and_loaded(model, tmp_path)
    x = tf.Variable(rows(5))

    def returned():
        outputs, loss = loaded(x, training=True, return_loss=True)
        return outputs, loss + added_loss(loaded)

    variables = model.trainable_variables
    actual = loss_and_gradients(returned, [x, *loaded.trainable_variables])
    expected = loss_and_gradients(
        lambda: (model(x, training=True), sum(model.losses)), [x, *(v.value for v in variables)]
    )
    check_alike(actual, expected)


@only_tensorflow
def test_second_derivatives(tmp_path):
    """A gradient penalty, through stdplus' derivative, of which TensorFlow saves none."""
    import tensorflow as tf

    layer = keras_slashed.layers.SlashedNormalSampling(seed=1)
    model = keras.Sequential([keras.Input((6,)), layer])
    loaded = saved_and_loaded(model, tmp_path)
    x = tf.constant(rows(5))
    results = []
    for function in (loaded, model):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(function(x) ** 3)
            penalty = tf.reduce_sum(tape.gradient(y, x) ** 2)
        results.append([penalty.numpy(), outer.gradient(penalty, x).numpy()])
    check_alike(*results)
    assert np.abs(results[1][1]).min() > 0.01


@only_tensorflow
def test_layer_called_twice(tmp_path):
    """Both calls count: 8 nats of ones, and four times as many of twos."""
    inputs = keras.Input((8,))
    layer = keras_slashed.layers.SlashedNormalSampling(kl_weight=0.5)
    model = keras.Model(inputs, [layer(inputs), layer(2.0 * inputs)])
    loaded = saved_and_loaded(model, tmp_path)
    x = np.ones((3, 8), "float32")
    outputs, loss = loaded(x, training=True, return_loss=True)
    assert len(outputs) == 2
    np.testing.assert_allclose(loss, 20.0, rtol=1e-6)
    loaded(x, training=True)
    np.testing.assert_allclose(added_loss(loaded), 20.0, rtol=1e-6)


@only_tensorflow
def test_named_inputs_and_low_precision(tmp_path):
    """Dictionaries in and out, integers too; float16 outputs, a float32 loss."""
    inputs = {
        "x": keras.Input((6,), name="x"),
        "label": keras.Input((), dtype="int32", name="label"),
    }
    common = {"dtype": "mixed_float16"}
    h = keras.layers.Concatenate(**common)(
        [inputs["x"], keras.layers.Embedding(3, 4, **common)(inputs["label"])]
    )
    h = keras.layers.Dense(8, **common)(h)
    z = keras_slashed.layers.SlashedNormalSampling(seed=1, **common)(h)
    model = keras.Model(inputs, {"amplitude": h, "z": z})
    loaded = saved_and_loaded(model, tmp_path)
    x = {"x": rows(5), "label": np.array([0, 1, 2, 1, 0], "int32")}

    def of(function, loss, variables):
        def outputs_and_loss():
            outputs = function(x, training=True)
            assert {str(y.dtype.name) for y in outputs.values()} == {"float16"}
            return keras.ops.concatenate([outputs["amplitude"], outputs["z"]], 1), loss()

        return loss_and_gradients(outputs_and_loss, variables)

    actual = of(loaded, lambda: added_loss(loaded), loaded.trainable_variables)
    assert added_loss(loaded).dtype == "float32"
    variables = [v.value for v in model.trainable_variables]
    check_alike(actual, of(model, lambda: sum(model.losses), variables), rtol=1e-2, atol=1e-2)


@only_tensorflow
def test_text(tmp_path):
    """Lookup tables, masks and any number of steps."""
    vectorization = keras.layers.TextVectorization()
    vectorization.adapt(np.array(["a b c", "b d"]))
    inputs = keras.Input((), dtype="string")
    h = keras.layers.Embedding(10, 4, mask_zero=True)(vectorization(inputs))
    z = keras_slashed.layers.SlashedNormalSampling(inference="mean")(h)
    model = keras.Model([inputs], keras.layers.GlobalAveragePooling1D()(z))
    loaded = saved_and_loaded(model, tmp_path)
    for x in (np.array(["a b d", "c"]), np.array(["d d d a"])):
        x = keras.ops.convert_to_tensor(x)
        np.testing.assert_allclose(loaded(x), model(x), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(added_loss(loaded), sum(model.losses), rtol=1e-6)


@only_tensorflow
def test_frozen_layers_and_no_loss(tmp_path):
    layers = [keras.layers.Dense(4, trainable=False), keras.layers.Dense(2)]
    loaded = saved_and_loaded(keras.Sequential([keras.Input((6,)), *layers]), tmp_path)
    assert [v.shape[0] for v in loaded.trainable_variables] == [4, 2]
    assert len(loaded.variables) == 4
    assert len(loaded.regularization_losses) == 0
    _, loss = loaded(rows(2), training=True, return_loss=True)
    assert loss == 0.0


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(8)
        self.vib = keras_slashed.layers.FixedRateVIB(2.0, kl_weight=1.0)

    def call(self, x, training=None):
        return self.vib(self.dense(x), training=training)


@only_tensorflow
def test_subclassed_model(tmp_path):
    model = Subclassed()
    with pytest.raises(ValueError, match=r"must be a built `keras.Model`"):
        save_reusable(model, tmp_path / "saved")
    model(rows(2))
    with pytest.raises(ValueError, match="`input_signature` must be a structure"):
        save_reusable(model, tmp_path / "saved")
    with pytest.raises(ValueError, match="each with a shape and a dtype"):
        save_reusable(model, tmp_path / "saved", keras.InputSpec(ndim=2))
    assert not list(tmp_path.iterdir())
    signature = keras.InputSpec(shape=(None, 6), dtype="float32")
    loaded = saved_and_loaded(model, tmp_path, input_signature=signature)
    x = rows(5)
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-6, atol=1e-6)
    loaded(x, training=True)
    np.testing.assert_allclose(added_loss(loaded), 2.0, rtol=1e-5)


def test_no_model(tmp_path):
    layer = keras.layers.Dense(2)
    layer.build((None, 6))
    with pytest.raises(ValueError, match=r"must be a built `keras.Model`|requires the TensorFlow"):
        save_reusable(layer, tmp_path / "saved")
