"""Attribution at a layer: the same as that of the tail, which Keras cuts by itself."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_slashed.attribution import amplitude_attribution
from keras_slashed.evaluation.model_cut import ModelCut
from tests.support import to_numpy

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(5, 6, 6, 2)).astype("float32")
IDS = np.array([[3, 1, 4, 1], [5, 9, 2, 0], [6, 5, 0, 0], [5, 8, 9, 7], [3, 2, 3, 0]])
ROWS = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
Y = np.array([0, 1, 2, 0, 1])
OPTIONS = {
    "steps": 2,
    "damping": 0.3,
    "num_samples": 5,
    "batch_size": 3,
    "chunk_size": 2,
    "seed": 1,
    "beta": 0.05,
}


def close(one, other):
    for name, mine, theirs in zip(one._fields, one, other):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-6, err_msg=name)


def scaled(model, scale=3.0):
    """Return a model with larger weights, so that the maps are not nearly 0."""
    model.set_weights([scale * weight for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def residual_model():
    """A functional model with a nested Sequential model, a residual block and an operation."""
    keras.utils.set_random_seed(0)
    stem = keras.Sequential(
        [
            layers.Conv2D(3, 3, strides=2, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5),
        ],
        name="stem",
    )
    inputs = keras.Input((6, 6, 2))
    x = stem(inputs)
    x = layers.Add(name="sum")([x, layers.Conv2D(3, 1, name="branch")(x)])
    x = layers.Flatten()(ops.tanh(x))
    return keras.Model(inputs, layers.Dense(3, name="scores")(x))


def cut_by_keras(model, tensor):
    """Return the output of a layer, and the tail of the model as Keras itself makes it."""
    head, tail = keras.Model(model.input, tensor), keras.Model(tensor, model.output)
    return lambda x: to_numpy(head(x, training=False)), tail


def test_it_is_the_attribution_of_the_tail(residual_model):
    model = residual_model
    for layer, tensor in (
        ("sum", model.get_layer("sum").output),
        (model.get_layer("stem"), model.get_layer("branch").input),
    ):
        head, tail = cut_by_keras(model, tensor)
        found = amplitude_attribution(model, IMAGES, Y, layer=layer, **OPTIONS)
        close(found, amplitude_attribution(tail, head(IMAGES), Y, **OPTIONS))
        assert found.nats.shape == (5, *tensor.shape[1:])
        assert np.all(found.rate > 1e-3)


def test_a_layer_of_a_nested_model(residual_model):
    """By path, by name and as an object: the tail starts inside of the nested model."""
    model, stem = residual_model, residual_model.get_layer("stem")
    names = [layer.name for layer in model.layers]
    after = [model.layers[i] for i in range(names.index("stem") + 1, len(names))]
    assert [layer.name for layer in after[:2]] == ["branch", "sum"]

    def tail(z):
        z = stem.get_layer("norm")(z, training=False)
        z = ops.tanh(z + model.get_layer("branch")(z))
        return model.get_layer("scores")(ops.reshape(z, (-1, 12)))

    values = to_numpy(stem.get_layer("conv")(IMAGES))
    expected = amplitude_attribution(tail, values, Y, **OPTIONS)
    close(amplitude_attribution(model, IMAGES, Y, layer="stem/conv", **OPTIONS), expected)
    for layer in ("conv", stem.get_layer("conv")):
        assert ModelCut(model, layer).name == "stem/conv"


def test_a_sequential_model_and_own_classes():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(3)], name="model"
    )
    x = IMAGES[:, 0, :2].reshape(5, 4)
    found = amplitude_attribution(model, x, layer=model.layers[0].name, **OPTIONS)
    hidden = to_numpy(model.layers[0](x))
    close(found, amplitude_attribution(model.layers[1], hidden, **OPTIONS))
    assert len(model.layers[0]._inbound_nodes) == 1  # nothing is added to the model's graph


def test_float16_layers():
    """The tail gets what it gets in the model: float16."""
    keras.utils.set_random_seed(0)
    seen, policy = [], keras.dtype_policies.DTypePolicy("mixed_float16")
    inputs = keras.Input((4,))
    x = ops.negative(layers.Dense(4, dtype=policy, name="hidden")(inputs))
    x = layers.Lambda(lambda x: seen.append(x.dtype) or x, dtype=policy, output_shape=(4,))(x)
    model = keras.Model(inputs, layers.Dense(3, dtype="float32")(x))
    seen.clear()
    x = IMAGES[:, 0, :2].reshape(5, 4)
    found = amplitude_attribution(model, x, Y, layer="hidden", **OPTIONS)
    assert np.all(found.rate > 0)
    assert {keras.backend.standardize_dtype(dtype) for dtype in seen} == {"float16"}


@pytest.fixture(scope="module")
def token_model():
    """A model of tokens whose embedding masks the id 0, with a mask of its own as well."""
    keras.utils.set_random_seed(2)
    ids = keras.Input((4,), dtype="int32", name="ids")
    x = layers.Embedding(10, 6, mask_zero=True, name="embedding")(ids)
    own = ops.expand_dims(ops.not_equal(ids, 1), -1)
    x = layers.Dense(6, activation="tanh")(ops.where(own, x, ops.zeros_like(x)))
    x = layers.GlobalAveragePooling1D()(x)
    return scaled(keras.Model(ids, layers.Dense(3)(x)))


def test_tokens(token_model):
    result = amplitude_attribution(token_model, IDS, Y, layer="embedding", **OPTIONS)
    assert result.nats.shape == (5, 4, 6)
    np.testing.assert_allclose(result.tokens, result.nats.sum(axis=-1))
    np.testing.assert_allclose(result.tokens.sum(axis=-1), result.rate, rtol=1e-5)
    # What a mask leaves out says nothing. An operation drops the mask of Keras.
    assert np.all((result.tokens > 1e-6) == (IDS != 1))


def test_the_mask_of_keras_passes_the_cut():
    keras.utils.set_random_seed(2)
    ids = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(10, 6, mask_zero=True, name="embedding")(ids)
    pooled = layers.GlobalAveragePooling1D(name="mean")(embedded)
    model = scaled(keras.Model(ids, layers.Dense(3, name="scores")(pooled)))
    found = amplitude_attribution(model, IDS, Y, layer="embedding", **OPTIONS)

    def tail(inputs):
        z, mask = inputs
        mask = ops.expand_dims(ops.cast(mask, z.dtype), -1)
        return model.get_layer("scores")(ops.sum(z * mask, axis=1) / ops.sum(mask, axis=1))

    values = to_numpy(model.get_layer("embedding")(IDS))
    expected = amplitude_attribution(tail, [values, IDS > 0], Y, **OPTIONS)
    np.testing.assert_allclose(found.nats, expected.nats[0], rtol=1e-4, atol=2e-6)
    assert expected.nats[1] is None


def test_integer_inputs_go_around():
    """Such as positions: inputs on which the layer does not depend."""
    keras.utils.set_random_seed(3)
    ids, places = (keras.Input((4,), dtype="int32", name=name) for name in ("ids", "places"))
    x = layers.Embedding(10, 6, name="words")(ids) + layers.Embedding(4, 6, name="where")(places)
    x = layers.GlobalAveragePooling1D()(layers.Dense(6, activation="tanh", name="hidden")(x))
    model = keras.Model({"ids": ids, "places": places}, layers.Dense(3, name="scores")(x))
    x = {"ids": IDS, "places": np.tile(np.arange(4), (5, 1))}
    found = amplitude_attribution(model, x, Y, layer="words", **OPTIONS)

    def tail(z):
        hidden = model.get_layer("hidden")(z + model.get_layer("where")(np.arange(4)))
        return model.get_layer("scores")(ops.mean(hidden, axis=1))

    values = to_numpy(model.get_layer("words")(IDS))
    close(found, amplitude_attribution(tail, values, Y, **OPTIONS))


def test_only_the_tail_runs_again(residual_model):
    """The head runs once for each input, and the tail for each draw."""
    rows, conv = [], residual_model.get_layer("stem").get_layer("conv")
    call = conv.call
    conv.call = lambda x: rows.append(x.shape[0]) or call(x)
    try:
        amplitude_attribution(residual_model, IMAGES, Y, layer="sum", **OPTIONS)
    finally:
        conv.call = call
    assert set(rows) <= {3, None}  # a batch, and never batch_size * chunk_size


def shared_layer():
    inputs = keras.Input((4,))
    layer = layers.Dense(4, name="shared")
    return keras.Model(inputs, layers.Dense(3)(layer(layer(inputs))))


def several_tensors():
    inputs = keras.Input((4, 1))
    sequence, state = layers.GRU(3, return_sequences=True, return_state=True, name="gru")(inputs)
    return keras.Model(inputs, layers.Dense(3)(ops.mean(sequence, axis=1) + state))


def not_on_the_way():
    inputs = keras.Input((4,))
    return keras.Model(
        inputs, {"one": layers.Dense(3, name="one")(inputs), "two": layers.Dense(3)(inputs)}
    )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(4, name="hidden")

    def call(self, x):
        return self.hidden(x)


class Block(layers.Layer):
    def __init__(self):
        super().__init__(name="block")
        self.inner = layers.Dense(3, name="inner")

    def call(self, x):
        return self.inner(x)


def with_block():
    inputs = keras.Input((4,))
    return keras.Model(inputs, Block()(inputs))


def same_names():
    inputs, x = keras.Input((4,)), None
    for name in ("a", "b"):
        part = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="same")], name=name)
        x = part(inputs if x is None else x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("build", "layer", "message"),
    [
        (shared_layer, "shared", "one call of layer 'shared'.*2 calls"),
        (several_tensors, "gru", "'gru' must return one tensor"),
        (not_on_the_way, "one", "several outputs requires the argument `output`.*one"),
        (Subclassed, "hidden", "requires a functional or Sequential model.*as a callable"),
        (lambda: lambda z: z, "hidden", "requires a functional or Sequential model"),
        (with_block, "inner", "It is a part of 'block', which has no graph of its own"),
        (same_names, "same", "Several have this name: 'a/same', 'b/same'"),
        (same_names, "c", "Expected one of .*'a/same'"),
        (same_names, layers.Dense(1, name="new"), "must be a layer in the graph of the model"),
    ],
)
def test_what_cannot_be_cut(build, layer, message):
    x = IMAGES[:, 0, :2].reshape(5, 4, 1 if build is several_tensors else -1)
    x = x if build is several_tensors else x.reshape(5, 4)
    with pytest.raises(ValueError, match=message):
        amplitude_attribution(build(), x, Y, layer=layer, **OPTIONS)


def test_what_goes_around_is_named(residual_model, token_model):
    with pytest.raises(ValueError, match=r"go around the layer: 'stem' of shape \(None, 2, 2, 3\)"):
        amplitude_attribution(residual_model, IMAGES, Y, layer="branch", **OPTIONS)
    with pytest.raises(ValueError, match="does not depend on layer 'one'"):
        amplitude_attribution(
            not_on_the_way(), IMAGES[:, 0, :2].reshape(5, 4), Y, layer="one", output="two"
        )
    # The ids reach the result through the second embedding as well.
    ids = keras.Input((4,), dtype="int32", name="ids")
    x = layers.Embedding(10, 6, name="one")(ids) + layers.Embedding(10, 6, name="two")(ids)
    model = keras.Model(ids, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match="go around the layer: 'two' of shape"):
        amplitude_attribution(model, IDS, Y, layer="one", **OPTIONS)


def test_what_a_layer_must_return(residual_model, token_model):
    with pytest.raises(ValueError, match=r"`x` must be a float array.*argument `layer`"):
        amplitude_attribution(token_model, IDS, Y, **OPTIONS)
    ids = keras.Input((4,), dtype="int32")
    x = layers.Lambda(lambda x: x + 1, name="next", output_shape=(4,))(ids)
    model = keras.Model(ids, layers.Dense(3)(layers.Flatten()(layers.Embedding(11, 2)(x))))
    with pytest.raises(ValueError, match=r"must return a float tensor.*int32"):
        amplitude_attribution(model, IDS, Y, layer="next", **OPTIONS)
    with pytest.raises(ValueError, match="`x` must be finite"):
        amplitude_attribution(residual_model, IMAGES * np.nan, Y, layer="sum", **OPTIONS)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3)(ops.log(inputs)))
    name = next(op.name for op in model.operations if "log" in op.name)
    with pytest.raises(ValueError, match=f"output of layer '{name}' must be finite"):
        amplitude_attribution(model, -np.ones((5, 4), "float32"), Y, layer=name, **OPTIONS)
    with pytest.raises(ValueError, match="loss of the perturbed inputs must be finite"):
        amplitude_attribution(lambda z: ops.log(0 * z - 1), np.ones((5, 3), "float32"), Y)


def test_an_input_goes_around_itself():
    inputs = keras.Input((4,), name="pixels")
    hidden = layers.Dense(4, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.Concatenate()([hidden, inputs])))
    with pytest.raises(ValueError, match="go around the layer: 'pixels'"):
        amplitude_attribution(model, ROWS, Y, layer="hidden", **OPTIONS)


def test_another_float_input_goes_around():
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    merged = layers.Add()([layers.Dense(3, name="hidden")(one), layers.Dense(3, name="other")(two)])
    model = keras.Model([one, two], merged)
    with pytest.raises(ValueError, match="go around the layer: 'other'"):
        amplitude_attribution(model, [ROWS, ROWS], Y, layer="hidden", **OPTIONS)


@pytest.mark.filterwarnings("ignore:Layer 'encoder':UserWarning")
@pytest.mark.parametrize("functional", [True, False])
def test_a_mask_enters_a_nested_model(functional):
    """Of a layer in it, the head and the tail see the mask as the model itself does."""
    keras.utils.set_random_seed(2)
    parts = [layers.Dense(6, name="hidden"), layers.GlobalAveragePooling1D()]
    if functional:
        x = keras.Input((4, 6))
        encoder = keras.Model(x, parts[1](parts[0](x)), name="encoder")
    else:
        encoder = keras.Sequential([keras.Input((4, 6)), *parts], name="encoder")
    inputs = keras.Input((4,), dtype="int32")
    embedding = layers.Embedding(10, 6, mask_zero=True, dtype="mixed_float16")
    model = keras.Model(inputs, layers.Dense(3)(encoder(embedding(inputs))))
    cut = ModelCut(model, "encoder/hidden")
    head = cut.head(ops.convert_to_tensor(IDS))
    np.testing.assert_allclose(
        to_numpy(cut.tail(head["output"], head)), to_numpy(model(IDS)), rtol=1e-5, atol=1e-6
    )
    found = amplitude_attribution(model, IDS, Y, layer="encoder/hidden", **OPTIONS)
    assert np.all((found.tokens > 0) == (IDS > 0))  # a masked position says nothing


def test_the_shortest_path_names_a_layer():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="same")], name="inner")
    inputs = keras.Input((4,))
    outer = layers.Dense(3, name="same")
    model = keras.Model(inputs, outer(inner(inputs)))
    assert ModelCut(model, "same").layer is outer
    assert ModelCut(model, "inner/same").layer is inner.layers[-1]


def test_a_functional_model_with_a_call_of_its_own():
    class Own(keras.Model):
        def call(self, inputs, training=None, mask=None):
            return 2.0 * super().call(inputs, training=training, mask=mask)

    inputs = keras.Input((4,))
    model = Own(inputs, layers.Dense(3)(layers.Dense(4, name="hidden")(inputs)))
    with pytest.raises(ValueError, match="requires a functional or Sequential model"):
        amplitude_attribution(model, ROWS, Y, layer="hidden", **OPTIONS)


def test_an_unused_output_of_a_nested_model():
    x = keras.Input((4,))
    hidden = layers.Dense(4, activation="tanh", name="hidden")(x)
    outputs = [layers.Dense(3, name="scores")(hidden), layers.Concatenate()([hidden, x])]
    nested, inputs = keras.Model(x, outputs, name="nested"), keras.Input((4,))
    model = keras.Model(inputs, nested(inputs)[0])
    found = amplitude_attribution(model, ROWS, Y, layer="nested/hidden", **OPTIONS)
    tail = nested.get_layer("scores")
    values = to_numpy(nested.get_layer("hidden")(ROWS))
    expected = amplitude_attribution(tail, values, Y, **OPTIONS)
    np.testing.assert_allclose(found.nats, expected.nats, rtol=1e-4, atol=2e-6)
