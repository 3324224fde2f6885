"""calibrate: the rate on the data themselves, against NumPy and truncated models."""

import keras
import numpy as np
import pytest

from keras_slashed.calibration import calibrate
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND
from tests.support import float64_enabled
from tests.support import to_numpy

RATE, LATENTS = 2.25, 3
X = np.random.default_rng(0).normal(size=(50, 5)).astype("float32")
X[30:] *= 4.0  # batches differ, so that a mean of their means is another
Y = np.float32(X.sum(axis=-1, keepdims=True) > 0.0)

with_statistic = pytest.mark.parametrize("normalization", ["batch", "feature"])


def amplitude_layer(name="amplitude"):
    return keras.layers.Dense(2 * LATENTS, activation="tanh", name=name)


def classifier(*bottleneck, inputs=5):
    layers = [keras.Input((inputs,)), amplitude_layer(), *bottleneck, keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse", jit_compile=BACKEND == "jax")
    return model


def predicted(model, tensor, x=X, batch_size=16):
    """Return in float64 what a functional model has at a tensor within it."""
    truncated = keras.Model(model.inputs, tensor)
    return truncated.predict(x, batch_size=batch_size, verbose=0).astype("float64")


def squares(amplitude, part="both"):
    a, b = np.split(amplitude, 2, axis=-1)
    return a**2 + b**2 if part == "both" else a**2


def mean_square(amplitude, normalization, part="both", weights=None):
    """Return the mean square of amplitudes over all axes but the last, by NumPy."""
    square = squares(amplitude, part)
    if weights is None:
        weights = np.ones(square.shape[:-1])
    of_each = np.average(square.reshape(-1, LATENTS), axis=0, weights=weights.reshape(-1))
    return of_each.sum() if normalization == "batch" else of_each


def assert_calibrated(layer, expected, rtol=1e-6):
    np.testing.assert_allclose(to_numpy(layer.moving_mean_square), expected, rtol=rtol)
    assert float(to_numpy(layer.moving_weight)) == 1.0


def values(model):
    return [to_numpy(variable).copy() for variable in model.variables]


def assert_same(before, after):
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@with_statistic
@pytest.mark.parametrize("part", ["both", "mean"])
def test_the_rate_at_inference_is_the_one_that_was_set(normalization, part):
    layer = RateNormalization(RATE, normalization, part)
    model = classifier(layer)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(X, 10.0 * Y, epochs=5, verbose=0)
    assert abs(squares(predicted(model, layer.output), part).sum(-1).mean() / RATE - 1.0) > 0.01
    calibrate(model, X, batch_size=16)
    amplitude = predicted(model, layer.input)
    assert_calibrated(layer, mean_square(amplitude, normalization, part))
    scaled = squares(predicted(model, layer.output), part).mean(axis=0)
    np.testing.assert_allclose(scaled.sum(), RATE, rtol=1e-6)
    if normalization == "feature":
        np.testing.assert_allclose(scaled, RATE / LATENTS, rtol=1e-6)


class _Batches(keras.utils.PyDataset):
    """Batches of 16 rows, the last one of two."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(16 * index, 16 * index + 16)
        return X[rows], Y[rows], np.zeros_like(Y[rows])


def tf_data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)


def data_loader():
    import torch

    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)


def generator():
    dataset = _Batches()
    for index in range(len(dataset)):
        yield dataset[index]


OWN_DATA = {"tensorflow": [tf_data], "torch": [data_loader]}.get(BACKEND, [])


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras, after a generator
@pytest.mark.parametrize("data", [lambda: X, _Batches, generator, *OWN_DATA])
def test_data_as_in_predict(data):
    layer = RateNormalization(RATE)
    model = classifier(layer)
    calibrate(model, data())
    assert_calibrated(layer, mean_square(predicted(model, layer.input), "batch"))


def test_several_inputs_by_name():
    inputs = {"first": keras.Input((5,), name="first"), "second": keras.Input((5,), name="second")}
    layer = RateNormalization(RATE)
    amplitude = amplitude_layer()(inputs["first"] - 2.0 * inputs["second"])
    model = keras.Model(inputs, layer(amplitude))
    x = {"first": X, "second": X[::-1].copy()}
    calibrate(model, x)
    truncated = keras.Model(inputs, amplitude).predict(x, verbose=0)
    assert_calibrated(layer, mean_square(truncated.astype("float64"), "batch"))


@with_statistic
def test_masked_positions_do_not_count(normalization):
    inputs = keras.Input((4, 5))
    layer = RateNormalization(RATE, normalization)
    amplitude = amplitude_layer()(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, layer(amplitude))
    x = np.random.default_rng(1).normal(size=(50, 4, 5)).astype("float32")
    kept = np.arange(4) < np.random.default_rng(2).integers(0, 5, size=(50, 1))
    x[~kept] = 0.0
    model.get_layer("amplitude").bias.assign(np.ones(2 * LATENTS))
    calibrate(model, x, batch_size=16)
    expected = mean_square(predicted(model, amplitude, x), normalization, weights=kept)
    assert_calibrated(layer, expected)
    rates = squares(predicted(model, model.output, x)).sum(-1)
    np.testing.assert_allclose(rates[kept].mean(), RATE, rtol=1e-6)


@with_statistic
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-12])
def test_rates_for_each_input(normalization, scale):
    inputs, rate = keras.Input((5,)), keras.Input(())
    layer = RateNormalization(RATE, normalization)
    amplitude = amplitude_layer()(inputs)
    model = keras.Model([inputs, rate], layer(amplitude, rate=rate))
    rates = np.random.default_rng(1).uniform(0.5, 4.0, 50).astype("float32") * np.float32(scale)
    calibrate(model, [X, rates], batch_size=16)
    raw = keras.Model(inputs, amplitude).predict(X, verbose=0).astype("float64")
    assert_calibrated(layer, mean_square(raw, normalization, weights=rates))
    reached = squares(predicted(model, model.output, [X, rates])).sum(-1)
    np.testing.assert_allclose(reached.mean(), np.float64(rates).mean(), rtol=2e-6)


def hierarchy(inference="mean"):
    """Return a model of three latents behind one another, one next to them, and the layers.

    Mean squares of zero and more, so that what stands behind depends on what is before.
    """
    inputs = x = keras.Input((5,))
    layers = []
    for index, normalization in enumerate(["batch", "feature", "batch"]):
        amplitude = amplitude_layer(f"amplitude_{index}")(x)
        layers.append(RateNormalization(1.0 + index, normalization))
        z = SlashedNormalSampling(inference=inference, seed=index)(layers[-1](amplitude))
        x = keras.layers.Concatenate()([z, inputs])
    layers.append(RateNormalization(0.5))
    beside = layers[-1](amplitude_layer("beside")(inputs))
    return keras.Model(inputs, [x, beside]), layers


@pytest.mark.parametrize("inference", ["mean", "sample"])
def test_layers_behind_one_another(inference):
    """Each is right for what it sees once all are calibrated, at the very same noise."""
    model, layers = hierarchy(inference)
    calibrate(model, X, batch_size=16)
    before = values(model)
    for layer in layers:
        expected = mean_square(predicted(model, layer.input), layer.normalization)
        assert_calibrated(layer, expected, rtol=1e-5)
        for variable, value in zip(model.variables, before):  # the noise once more
            variable.assign(value)
    if inference == "mean":
        for layer in layers:
            reached = squares(predicted(model, layer.output)).sum(-1).mean()
            np.testing.assert_allclose(reached, float(to_numpy(layer.rate())), rtol=1e-5)


def test_a_shared_layer_counts_all_its_calls():
    inputs = keras.Input((5,))
    layer = RateNormalization(RATE)
    amplitude = amplitude_layer()
    twins = [amplitude(inputs), amplitude(2.0 * inputs)]
    model = keras.Model(inputs, [layer(twin) for twin in twins])
    calibrate(model, X, batch_size=16)
    raw = np.concatenate([predicted(model, twin) for twin in twins])
    assert_calibrated(layer, mean_square(raw, "batch"))


class _Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.amplitude = amplitude_layer()
        self.blocks = [keras.Sequential([FixedRateVIB(RATE, "feature", seed=0)])]
        self.decoder = keras.layers.Dense(1)

    def call(self, x, training=None):
        return self.decoder(self.blocks[0](self.amplitude(x), training=training))


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_subclassed_model_not_yet_built(run_eagerly):
    """Its bottleneck is a part of a part of a part."""
    model = _Subclassed()
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    calibrate(model, X, batch_size=16)
    raw = to_numpy(model.amplitude(X)).astype("float64")
    layer = model.blocks[0].layers[0].rate_normalization
    assert_calibrated(layer, mean_square(raw, "feature"))


def test_nothing_else_changes():
    """Weights, optimizer, noise and rates counted are as they were; a trained model trains on."""
    vib = FixedRateVIB(RATE, inference="sample", seed=3)
    model = classifier(vib)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(X, Y, verbose=0)
    vib.rate_tracker.at_inference = True  # as within an evaluation that RateMonitor follows
    vib.rate_normalization.rate_tracker.at_inference = True
    functions = model.train_function, model.test_function, model.predict_function
    others = [variable for variable in model.variables if "moving" not in variable.path]
    others += model.optimizer.variables
    before = [to_numpy(variable).copy() for variable in others]
    assert any("seed" in variable.path for variable in others)
    calibrate(model, X)
    assert_same(before, [to_numpy(variable) for variable in others])
    assert functions == (model.train_function, model.test_function, model.predict_function)


def test_training_goes_on_from_the_mean_square_of_the_data():
    layer = RateNormalization(RATE, momentum=0.75)
    model = classifier(layer)
    calibrate(model, X)
    before = to_numpy(layer.moving_mean_square)
    batch = mean_square(predicted(model, layer.input)[:16], "batch")
    model.train_on_batch(X[:16], Y[:16])
    assert_calibrated(layer, 0.75 * before + 0.25 * batch)


def test_frozen_layers_only_when_asked():
    inputs = keras.Input((5,))
    frozen, free = RateNormalization(RATE), RateNormalization(RATE)
    frozen.trainable = False
    behind = amplitude_layer("second")(frozen(amplitude_layer()(inputs)))
    model = keras.Model(inputs, free(behind))
    calibrate(model, X)
    assert float(to_numpy(frozen.moving_weight)) == 0.0
    # What a layer that has seen nothing passes on is not scaled.
    assert_calibrated(free, mean_square(predicted(model, behind), "batch"))
    calibrate(model, X, include_frozen=True)
    assert_calibrated(frozen, mean_square(predicted(model, frozen.input), "batch"))
    assert_calibrated(free, mean_square(predicted(model, behind), "batch"), rtol=1e-5)


def test_a_frozen_model():
    model = classifier(FixedRateVIB(RATE, name="bottleneck"))
    model.trainable = False
    with pytest.raises(ValueError, match=r"are frozen.*include_frozen=True.*Received: model="):
        calibrate(model, X)
    calibrate(model, X, include_frozen=True)
    layer = model.get_layer("bottleneck").rate_normalization
    raw = to_numpy(model.get_layer("amplitude")(X)).astype("float64")
    assert_calibrated(layer, mean_square(raw, "batch"))


def test_instance_needs_no_calibration():
    model = classifier(RateNormalization(RATE, "instance"))
    before = values(model)
    calibrate(model, X)
    assert_same(before, values(model))


def test_latent_dimensions_that_are_zero_stay_finite():
    layer = RateNormalization(RATE, "feature")
    inputs = keras.Input((2 * LATENTS,))
    model = keras.Model(inputs, layer(inputs))
    x = np.random.default_rng(1).normal(size=(50, 2, LATENTS)) * [1.0, 0.0, 2.0]
    x = x.reshape(50, -1).astype("float32")
    calibrate(model, x)
    assert_calibrated(layer, mean_square(np.float64(x), "feature"))
    rates = squares(predicted(model, layer.output, x)).mean(axis=0)
    np.testing.assert_allclose(rates, [RATE / 3, 0.0, RATE / 3], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_low_precision(policy):
    """Squares beyond the range of float16 are summed in float32."""
    inputs = keras.Input((2 * LATENTS,))
    layer = RateNormalization(RATE, dtype=policy)
    model = keras.Model(inputs, layer(inputs))
    x = np.random.default_rng(1).integers(-200, 200, (50, 2 * LATENTS)).astype("float32")
    calibrate(model, x)
    assert_calibrated(layer, mean_square(np.float64(x), "batch"))


def test_a_progress_bar(capsys):
    model = classifier(RateNormalization(RATE))
    calibrate(model, X, batch_size=16)
    assert capsys.readouterr().out == ""
    calibrate(model, X, batch_size=16, verbose=1)
    assert "4/4" in capsys.readouterr().out


def deep():
    """Return a model of two bottlenecks, calibrated on other data, and their layers."""
    first, second = RateNormalization(RATE), RateNormalization(RATE, name="second")
    model = keras.Sequential(
        [keras.Input((2 * LATENTS,)), first, amplitude_layer(), second, keras.layers.Dense(1)]
    )
    calibrate(model, np.ones((8, 2 * LATENTS), "float32"))
    return model, first, second


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_mean_square_that_is_not_finite_changes_nothing(value):
    model, _, _ = deep()
    before = values(model)
    x = np.ones((40, 2 * LATENTS), "float32")
    x[33] = value
    with pytest.raises(ValueError, match=r"amplitudes of layer '.*' must be finite. Received"):
        calibrate(model, x, batch_size=16)
    assert_same(before, values(model))


def test_data_that_count_nowhere():
    inputs = keras.Input((4, 5))
    layer = RateNormalization(RATE)
    model = keras.Model(inputs, layer(amplitude_layer()(keras.layers.Masking()(inputs))))
    with pytest.raises(ValueError, match=r"at least one instance that counts.*Received: none in 1"):
        calibrate(model, np.zeros((8, 4, 5), "float32"))
    assert float(to_numpy(layer.moving_weight)) == 0.0


class _AlwaysTraining(keras.Model):
    """A model that draws at inference by calling its bottleneck in training mode."""

    def __init__(self, *layers):
        super().__init__()
        self.first = layers
        self.bottleneck = FixedRateVIB(RATE)

    def call(self, x, training=None):
        for layer in self.first:
            x = layer(x, training=training)
        return self.bottleneck(x, training=True)


@pytest.mark.parametrize("built", [True, False])
def test_a_layer_that_is_always_in_training_mode(built):
    """It never uses a moving mean square, and calibration changes nothing of it."""
    x = np.random.default_rng(0).normal(size=(32, 2 * LATENTS)).astype("float32")
    model = _AlwaysTraining()
    if built:
        model(x)
    before = values(model)
    with pytest.raises(ValueError, match=r"always with `training=True`, has none.*none in 1 lay"):
        calibrate(model, x)
    if built:
        assert_same(before, values(model))
    else:
        assert float(to_numpy(model.bottleneck.rate_normalization.moving_weight)) == 0.0

    first = RateNormalization(RATE)
    model = _AlwaysTraining(first)
    model(x)
    before = values(model.bottleneck)
    calibrate(model, x)
    expected = np.square(x).sum(-1).mean()
    np.testing.assert_allclose(to_numpy(first.moving_mean_square), expected, rtol=1e-6)
    assert_same(before, values(model.bottleneck))


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_no_rows():
    with pytest.raises(ValueError, match="`x` must have at least one instance"):
        calibrate(classifier(RateNormalization(RATE)), X[:0])


@pytest.mark.parametrize(
    ("x", "batch_size", "message"),
    [
        (None, 32, "`x` must be an array.*NoneType"),
        (np.array(2.0), 32, "`x` must be an array.*ndarray"),
        (3.0, 32, "`x` must be an array.*float"),
        ("data", 32, "`x` must be an array.*str"),
        (X, 2.5, "`batch_size` must be a positive integer.*2.5"),
        (X, 0, "`batch_size` must be a positive integer.*0"),
        (X, -1, "`batch_size` must be a positive integer.*-1"),
    ],
)
def test_wrong_arguments(x, batch_size, message):
    with pytest.raises(ValueError, match=message):
        calibrate(RateNormalization(RATE), x, batch_size)


@pytest.mark.parametrize(
    "model", [lambda x: x, None, keras.layers.Dense(1), keras.layers.Dropout(0.5)]
)
def test_a_model_without_such_layers(model):
    with pytest.raises(ValueError, match="`model` must be a Keras model with at least one Fixed"):
        calibrate(model, X)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_an_iterator_is_for_one_pass():
    model, _, _ = deep()
    before = values(model)
    batches = ((np.full((8, 2 * LATENTS), scale, "float32"),) for scale in range(4))
    with pytest.raises(ValueError, match=r"can be iterated over several times.*Received: x="):
        calibrate(model, batches)
    assert_same(before, values(model))


@pytest.mark.parametrize("number", [0, 2])
def test_an_error_in_the_data_leaves_the_model_as_it_was(number):
    class Broken(_Batches):
        def __getitem__(self, index):
            if index == number:
                raise OSError("gone")
            return super().__getitem__(index)

    model = classifier(FixedRateVIB(RATE, inference="sample"))
    before = values(model)
    with pytest.raises(Exception, match="gone"):  # TensorFlow has an error of its own
        calibrate(model, Broken())
    assert_same(before, values(model))


def test_float64():
    """The statistic of a float64 layer is one of float64."""
    x = np.random.default_rng(1).normal(size=(50, 2 * LATENTS)).astype("float32")
    with float64_enabled():
        layer = RateNormalization(RATE, dtype="float64")
        inputs = keras.Input((2 * LATENTS,))
        calibrate(keras.Model(inputs, layer(inputs)), x)
        assert_calibrated(layer, mean_square(np.float64(x), "batch"), rtol=1e-12)


def test_stateful_recurrent_layers_keep_their_state():
    inputs = keras.Input((3, 5), batch_size=10)
    recurrent = keras.layers.GRU(2 * LATENTS, stateful=True)
    model = keras.Model(inputs, FixedRateVIB(RATE)(recurrent(inputs)))
    x = np.random.default_rng(0).normal(size=(20, 3, 5)).astype("float32")
    before = np.full(recurrent.states[0].shape, 0.5, "float32")
    recurrent.states[0].assign(before)
    calibrate(model, x, batch_size=10)
    np.testing.assert_array_equal(to_numpy(recurrent.states[0]), before)


def test_an_error_in_the_second_pass():
    """The first pass has set the first layer, which no layer before it disturbs."""
    first, second = RateNormalization(2.0), RateNormalization(2.0, name="second")
    broken = keras.layers.Dense(6, bias_initializer=keras.initializers.Constant(np.nan))
    model = keras.Sequential([keras.Input((6,)), first, broken, second])
    before = values(model)
    with pytest.raises(ValueError, match="must be finite"):
        calibrate(model, np.ones((8, 6), "float32"))
    assert_same(before, values(model))


def test_a_small_change_reaches_the_layers_behind():
    model, normalizations = hierarchy("mean")
    calibrate(model, X, batch_size=16)
    for layer in normalizations:
        layer.moving_mean_square.assign(1.003 * to_numpy(layer.moving_mean_square))
    calibrate(model, X, batch_size=16)
    for layer in normalizations:
        found = mean_square(predicted(model, layer.input), layer.normalization)
        assert_calibrated(layer, found, rtol=1e-5)
