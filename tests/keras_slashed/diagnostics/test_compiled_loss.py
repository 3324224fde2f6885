"""diagnose with a layer answers the objective that `fit` minimizes, as `evaluate` computes it."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_slashed.diagnostics import diagnose
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
SIZES = {"num_samples": 8, "batch_size": 16, "chunk_size": 4, "seed": 0}
# Of a rate of 150 nats in b, so that the draws do not move the outputs.
NARROW = [-9.0, -9.0]


def build(loss, weights=None, units=1, activation="sigmoid", bias=(0.0, 0.0)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    amplitude = layers.Dense(4, name="amplitude")
    z = SlashedNormalSampling(kl_weight=0.1, name="latent")(amplitude(inputs))
    outputs = layers.Dense(units, activation=activation, name="out")(z)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss, loss_weights=weights)
    amplitude.set_weights([amplitude.get_weights()[0], np.array([0.5, -0.5, *bias])])
    return model


def same(one, other):
    for name in ("rate", "gradient_rate", "residual", "standard_error", "price", "beta", "loss"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-6, err_msg=name
        )


def squares(y, outputs):
    return ops.mean(ops.square(y - outputs), axis=-1)


def test_loss_weights_are_those_of_the_objective():
    """The weight of the only loss, however it is given, is a factor of the loss itself."""
    expected = diagnose(build(lambda y, p: 0.5 * squares(y, p)), x=X, y=Y, layer="latent", **SIZES)
    unweighted = diagnose(build(squares), x=X, y=Y, layer="latent", **SIZES)
    assert unweighted.loss == pytest.approx(2 * expected.loss, rel=1e-5)
    variable = keras.Variable(0.5)
    for weights in (0.5, [0.5], {"out": np.float32(0.5)}, [variable]):
        same(diagnose(build(squares, weights), x=X, y=Y, layer="latent", **SIZES), expected)
    for weights in ([None], [1]):
        same(diagnose(build(squares, weights), x=X, y=Y, layer="latent", **SIZES), unweighted)
    none = diagnose(build(squares, 0.0), x=X, y=Y, layer="latent", **SIZES)
    assert none.loss == 0
    np.testing.assert_allclose(none.residual, none.rate)


def test_loss_weights_of_a_loaded_model(tmp_path):
    model = build("mse", [0.5])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found, expected = (diagnose(m, x=X, y=Y, layer="latent", **SIZES) for m in (loaded, model))
    same(found, expected)


@pytest.mark.parametrize("weights", [[], [0.5, 0.5], {"a": 0.5, "b": 1.0}, [np.nan], ["a"]])
def test_unreadable_loss_weights_are_refused(weights):
    model = build("mse", weights)
    with pytest.raises(ValueError, match=r"one finite number.*Received: loss_weights=[\[{]"):
        diagnose(model, x=X, y=Y, layer="latent", **SIZES)


class Squares(keras.losses.Loss):
    def call(self, y, outputs):
        return squares(y, outputs)


LOSSES = [
    "binary_crossentropy",
    "crossentropy",
    keras.losses.BinaryCrossentropy(),
    "MeanSquaredError",
    "log_cosh",
    squares,
    Squares(),
]


def objective(model, y):
    """Return the loss of `evaluate`, without the KL, for one rank of targets for each model."""
    model.get_layer("latent").kl_weight = 0.0
    return model.evaluate(X, y, batch_size=len(X), verbose=0)


@pytest.mark.parametrize("loss", LOSSES)
def test_targets_of_any_rank_and_dtype(loss):
    """Targets (n,) and (n, 1) of integers, booleans and floats, against Keras itself."""
    model, column = build(loss, 0.7, bias=NARROW), Y[:, None]
    options = {"layer": "latent", "beta": 0.1, **SIZES}
    expected = diagnose(model, x=X, y=column.astype("float32"), **options)
    by_keras = objective(model, column)
    assert expected.loss == pytest.approx(by_keras, rel=1e-3)
    # Keras gives both the same rank for a function alone.
    flat = column if isinstance(loss, Squares) else Y
    again = build(loss, 0.7, bias=NARROW)
    assert objective(again, flat) == pytest.approx(by_keras, rel=1e-5)
    for y in (flat, flat.astype("bool"), column):
        same(diagnose(model, x=X, y=y, **options), expected)


def one_hot_squares(y, outputs):
    return squares(ops.one_hot(ops.cast(y, "int32"), 3), outputs)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("sparse_categorical_crossentropy", np.arange(40) % 3),
        ("sparse_categorical_crossentropy", np.arange(40)[:, None] % 3),
        ("crossentropy", np.arange(40)[:, None] % 3),
        ("ce", np.arange(40) % 3),
        ("ce", np.eye(3, dtype="int32")[np.arange(40) % 3]),
        ("categorical_crossentropy", np.eye(3)[np.arange(40) % 3]),
        (one_hot_squares, np.arange(40) % 3),
    ],
)
def test_several_units(loss, y):
    narrow = build(loss, units=3, activation="softmax", bias=NARROW)
    found = diagnose(narrow, x=X, y=y, layer="latent", **SIZES)
    assert found.loss == pytest.approx(objective(narrow, y), rel=1e-3)


def test_outputs_without_a_last_axis():
    """Targets (n, 1) for outputs (n,)."""
    model = build("mse")
    flat = keras.Model(model.input, model.output[:, 0])
    flat.compile("sgd", lambda y, p: ops.square(y - p))
    expected = diagnose(model, x=X, y=Y, layer="latent", **SIZES)
    for y in (Y, Y[:, None]):
        same(diagnose(flat, x=X, y=y, layer="latent", **SIZES), expected)


def test_losses_that_keras_does_not_average_over_rows_are_refused():
    """A loss that ignores a class is divided by the entries that count in the batch."""
    ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)
    for loss, message in (
        (ignoring, "loss with a mask"),
        (lambda y, p: ops.mean(ops.square(y - p)), r"for each row.*a loss of shape \(\)"),
    ):
        model = build(loss, units=3, activation="softmax")
        with pytest.raises(ValueError, match=message):
            diagnose(model, x=X, y=np.arange(40)[:, None] % 3, layer="latent", **SIZES)


def test_several_targets_are_refused():
    with pytest.raises(ValueError, match=r"`y` must be one array.*Received: 2 arrays"):
        diagnose(build("mse"), x=X, y=[Y, Y], layer="latent", **SIZES)


def two_inputs():
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    z = SlashedNormalSampling(name="latent")(layers.Dense(4)(one + two))
    model = keras.Model({"one": one, "two": two}, layers.Dense(4)(z))
    model.compile("adam", "mse")
    return model


def test_targets_are_required_unless_x_can_be_the_target():
    model, x = two_inputs(), {"one": X, "two": X}
    assert diagnose(model, x=x, y=X, layer="latent", **SIZES).num_instances == 40
    for data in (x, iter([x])):
        with pytest.raises(ValueError, match=r"`y` is required.*y=None, and x of .*dict.*2 arrays"):
            diagnose(model, x=data, layer="latent", **SIZES)
    with pytest.raises(ValueError, match=r"`y` is required.*\(16, 4\) for outputs of shape .*1\)"):
        diagnose(build("mse"), x=X, layer="latent", **SIZES)


def sequences(latent, masking=True, **call):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 3))
    hidden = layers.Masking()(inputs) if masking else inputs
    amplitude = layers.Dense(4)(hidden)
    if call:
        call = {"mask": ops.any(ops.not_equal(inputs, 0.0), axis=-1)}
    z = latent(amplitude, **call)
    outputs = layers.Dense(1)(layers.GlobalAveragePooling1D()(z))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model, keras.Model(inputs, amplitude)


def padded():
    x = rng.normal(size=(16, 6, 3)).astype("float32")
    x[:, 3:] = 0
    return x, np.zeros((16, 1), "float32")


@pytest.mark.parametrize(("masking", "call"), [(True, {}), (False, {"mask": True})])
@pytest.mark.parametrize(
    "layer", [SlashedNormalSampling, lambda name: FixedRateVIB(2.0, name=name)]
)
def test_a_masked_amplitude_is_refused(layer, masking, call):
    """Padding would count as instances, and reach the pooling of the decoder."""
    model, _ = sequences(layer(name="latent"), masking, **call)
    x, y = padded()
    with pytest.raises(ValueError, match=r"not have a mask.*`loss`.*Received.*6, 4\)"):
        diagnose(model, x=x, y=y, layer="latent", **SIZES)


def test_a_masked_amplitude_of_an_encoder_is_refused():
    x, _ = padded()

    def loss(x, z):
        return ops.mean(ops.square(z), axis=(1, 2))

    masked = sequences(SlashedNormalSampling(name="latent"))[1]
    with pytest.raises(ValueError, match=r"must not have a mask.*Received.*6, 4\)"):
        diagnose(masked, loss, x, **SIZES)
    plain = sequences(SlashedNormalSampling(name="latent"), masking=False)[1]
    assert diagnose(plain, loss, x, **SIZES).num_instances == 16


def test_a_loss_with_a_value_for_each_position():
    flat = build("mse", units=6)
    model = keras.Model(flat.input, layers.Reshape((3, 2))(flat.output))
    model.compile("sgd", "mse")
    y = np.zeros((40, 6), "float32")
    expected = diagnose(flat, x=X, y=y, layer="latent", **SIZES)
    found = diagnose(model, x=X, y=y.reshape(-1, 3, 2), layer="latent", **SIZES)
    same(found, expected)
