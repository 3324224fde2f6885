"""Every layer behaves like any Keras layer, in every configuration."""

import inspect
import os

import keras
import numpy as np
import pytest
from absl.testing import parameterized
from keras import ops
from keras.src import testing
from keras.src.backend import get_keras_mask
from keras.src.testing.test_case import get_seed_generators

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.support import BACKEND
from tests.support import FLOAT_DTYPES
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import random_amplitude
from tests.support import tensor
from tests.support import to_numpy
from tests.support import total_loss

CONFIGS = {
    "rate_batch": (RateNormalization, {"rate": 2.3}),
    "rate_batch_mean": (RateNormalization, {"rate": 2.3, "part": "mean", "momentum": 0.5}),
    "rate_instance": (RateNormalization, {"rate": 2.3, "normalization": "instance"}),
    "rate_instance_mean": (
        RateNormalization,
        {"rate": 2.3, "normalization": "instance", "part": "mean"},
    ),
    "rate_feature": (RateNormalization, {"rate": 2.3, "normalization": "feature"}),
    "rate_feature_mean": (
        RateNormalization,
        {"rate": 2.3, "normalization": "feature", "part": "mean"},
    ),
    "sampling": (SlashedNormalSampling, {"seed": 7}),
    "sampling_num_samples": (SlashedNormalSampling, {"num_samples": 3, "seed": 7}),
    "sampling_mean": (SlashedNormalSampling, {"inference": "mean", "seed": 7}),
    "sampling_kl_weight": (SlashedNormalSampling, {"kl_weight": 0.5, "seed": 7}),
    "sampling_free_bits": (SlashedNormalSampling, {"free_bits": 0.5, "seed": 7}),
    "vib_batch": (FixedRateVIB, {"rate": 2.3, "seed": 7}),
    "vib_instance": (FixedRateVIB, {"rate": 2.3, "normalization": "instance", "seed": 7}),
    "vib_feature": (
        FixedRateVIB,
        {"rate": 2.3, "normalization": "feature", "momentum": 0.5, "seed": 7},
    ),
    "vib_num_samples": (FixedRateVIB, {"rate": 2.3, "num_samples": 3, "seed": 7}),
    "vib_mean_part": (FixedRateVIB, {"rate": 2.3, "part": "mean", "kl_weight": 1.0, "seed": 7}),
    "vib_sample": (FixedRateVIB, {"rate": 2.3, "inference": "sample", "seed": 7}),
}
POLICIES = ("float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def configs(*names):
    """Parametrize a test with some configurations."""
    return pytest.mark.parametrize("config", [CONFIGS[name] for name in names], ids=names)


every_config = configs(*CONFIGS)
# Each computation once: FixedRateVIB is two of them.
every_computation = configs(
    "rate_batch",
    "rate_batch_mean",
    "rate_instance",
    "rate_instance_mean",
    "rate_feature",
    "rate_feature_mean",
    "sampling_num_samples",
    "sampling_free_bits",
    "vib_mean_part",
)
# Where it matters what kinds of state and noise a layer has, and no more.
one_of_each = configs("rate_batch", "sampling_num_samples", "vib_feature")
training_or_not = pytest.mark.parametrize("training", [True, False])


def make(config, **kwargs):
    """Return a new layer; with the same seed its noise is the same each time."""
    layer_class, arguments = config
    return layer_class(**arguments, **kwargs)


def functional(layer):
    """Return a model that trains: Dense layers before and after the layer."""
    inputs = keras.Input((4,))
    amplitude = keras.layers.Dense(4, name="encoder")(inputs)
    outputs = keras.layers.Dense(1, name="decoder")(layer(amplitude))
    return keras.Model(inputs, outputs)


def batch_for(model, batch_size=8):
    """Return inputs and targets as NumPy arrays."""
    x = np.random.default_rng(3).normal(size=(batch_size, 4)).astype("float32")
    return x, np.ones((batch_size, *model.output_shape[1:]), "float32")


def restart_noise(*layers):
    """Let the noise of each layer or model begin again, the same for all of them."""
    for layer in layers:
        for generator in get_seed_generators(layer):
            generator.state.assign([5, 0])


def state(layer):
    """Return a copy of the layer's weights."""
    return [np.array(to_numpy(weight)) for weight in layer.weights]


def assert_same_state(layer, other, **tolerances):
    for weight, one, two in zip(layer.weights, state(layer), state(other), strict=True):
        np.testing.assert_allclose(one, two, err_msg=weight.path, **tolerances)


def sum_of(z):
    """Return a sum of tensor entries, each with its own weight."""
    weights = np.cos(np.arange(np.prod(z.shape))).reshape(z.shape)
    return ops.sum(z * tensor(weights, z.dtype))


class RunLayerTest(testing.TestCase):
    def assertLen(self, iterable, expected_len, msg=None):
        if msg == "Unexpected number of torch_params":
            expected_len += self.num_scalars  # Keras expects weights alone
        super().assertLen(iterable, expected_len, msg)

    # The model around the layer has no other layer, so nothing to train.
    @pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
    @parameterized.named_parameters(*((name, *CONFIGS[name]) for name in CONFIGS))
    def test_run_layer_test(self, layer_class, arguments):
        statistics = 3 if arguments.get("normalization") != "instance" else 1
        weights = {RateNormalization: statistics, SlashedNormalSampling: 1}
        weights[FixedRateVIB] = statistics  # both parts share the mean rates
        # Variables and no weights: a fixed rate, a kl_weight, and the factor of each.
        self.num_scalars = 4 if layer_class is FixedRateVIB else 2
        stochastic = layer_class is not RateNormalization
        samples = (arguments["num_samples"],) if "num_samples" in arguments else ()
        self.run_layer_test(
            layer_class,
            arguments,
            input_shape=(2, 4, 4),
            expected_output_shape=(2, 4, *samples, 2) if stochastic else (2, 4, 4),
            expected_num_trainable_weights=0,
            expected_num_non_trainable_weights=weights[layer_class],
            expected_num_non_trainable_variables=weights[layer_class]
            + self.num_scalars
            + stochastic,
            expected_num_seed_generators=int(stochastic),
            expected_num_losses=int(stochastic),
            supports_masking=True,
            # Compiled training is `test_fit_compiled` and tests of each layer.
            run_training_check=False,
        )


@every_config
def test_config_holds_every_argument(config):
    """`run_layer_test` would not see an argument that `get_config` forgets."""
    layer_class, arguments = config
    stored = make(config, name="some_name", dtype="mixed_bfloat16").get_config()
    names = set(inspect.signature(layer_class.__init__).parameters) - {"self", "kwargs"}
    assert names <= set(stored)
    assert {name: stored[name] for name in arguments} == arguments
    remade = layer_class.from_config(stored)
    assert remade.name == "some_name"
    assert remade.compute_dtype == "bfloat16"
    assert remade.get_config() == stored


@every_config
def test_build_makes_every_weight(config):
    layer = make(config)
    layer.build((None, 4))
    weights = [id(variable) for variable in layer.variables]
    layer(random_amplitude((8, 4)), training=True)
    layer(random_amplitude((8, 4)), mask=np.ones(8, "bool"))
    assert [id(variable) for variable in layer.variables] == weights
    paths = [variable.path for variable in layer.variables]
    assert len(set(paths)) == len(paths)


@every_config
@pytest.mark.parametrize("batch_size", [8, 1])
def test_unknown_batch_size(config, batch_size):
    inputs = keras.Input((4,))
    outputs = make(config)(inputs)
    assert outputs.shape[0] is None
    amplitude = random_amplitude((batch_size, 4))
    z = keras.Model(inputs, outputs)(amplitude, training=True)
    assert tuple(z.shape) == (batch_size, *outputs.shape[1:])
    expected = make(config)(amplitude, training=True)
    np.testing.assert_allclose(to_numpy(z), to_numpy(expected), rtol=1e-5)


@every_config
def test_positions_of_a_sequence_are_instances(config):
    """(batch, time, 2K) with an unknown time gives what (batch * time, 2K) gives."""
    inputs = keras.Input((None, 4))
    outputs = make(config)(inputs)
    assert outputs.shape[:2] == (None, None)
    amplitude = random_amplitude((2, 4, 4))
    z = keras.Model(inputs, outputs)(amplitude, training=True)
    assert tuple(z.shape) == (2, 4, *outputs.shape[2:])
    flat = make(config)(ops.reshape(amplitude, (8, 4)), training=True)
    np.testing.assert_allclose(
        to_numpy(z).reshape(flat.shape), to_numpy(flat), rtol=1e-5, atol=1e-6
    )


@configs("sampling", "sampling_num_samples", "sampling_mean")
@pytest.mark.parametrize("length", [4, None])
def test_prior_inputs_of_unknown_sizes(config, length):
    """Priors and a rotation as inputs of a model, for each position of a sequence."""
    names = ("amplitude", "prior_mean", "prior_scale", "rotation")
    shapes = [(length, 4), (1, 3), (length, 3, 2), (2, 2)]
    layer = make(config)
    inputs = {name: keras.Input(shape) for name, shape in zip(names, shapes)}
    inputs["rotation"] = keras.Input(batch_shape=(2, 2))
    outputs = layer(**inputs)
    assert outputs.shape == (None, length, *outputs.shape[2:-1], 3)
    rng = np.random.default_rng(0)
    sizes = [(3, 4, 4), (3, 1, 3), (3, 4, 3, 2), (2, 2)]
    values = [rng.normal(size=size).astype("float32") for size in sizes]
    # Keras takes no input without a batch axis through a model's own call.
    z = keras.Function(list(inputs.values()), outputs)(values)
    expected = make(config)(values[0], values[1], None, values[2], values[3])
    assert tuple(z.shape) == (3, 4, *outputs.shape[2:])
    np.testing.assert_allclose(to_numpy(z), to_numpy(expected), rtol=1e-5, atol=1e-5)


class _Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs, training=None):
        return self.layer(inputs, training=training)


def _submodel(layer):
    inner_inputs, inputs = keras.Input((4,)), keras.Input((4,))
    return keras.Model(inputs, keras.Model(inner_inputs, layer(inner_inputs))(inputs))


def _sequential(layer):
    return keras.Sequential([keras.Sequential([layer])])


@one_of_each
@pytest.mark.parametrize("nest", [_submodel, _sequential, _Subclassed])
def test_nested(config, nest):
    """Outputs, losses and statistics of a nested layer are those of the layer alone."""
    amplitude = random_amplitude((8, 4))
    alone, nested = make(config), make(config)
    expected = alone(amplitude, training=True)
    model = nest(nested)
    z = model(amplitude, training=True)
    np.testing.assert_allclose(to_numpy(z), to_numpy(expected), rtol=1e-6)
    assert len(model.losses) == len(alone.losses)
    np.testing.assert_allclose(total_loss(model), total_loss(alone), rtol=1e-6)
    assert_same_state(nested, alone, rtol=1e-6)


@every_config
def test_time_distributed(config):
    """With a static time axis, the result equals that of the layer on each step."""
    layer, alone = make(config), make(config)
    distributed = keras.layers.TimeDistributed(layer)
    amplitude = random_amplitude((8, 3, 4))
    steps, losses = [], 0.0
    for step in range(3):
        steps.append(to_numpy(alone(amplitude[:, step], training=True)))
        losses += total_loss(alone)
    z = distributed(amplitude, training=True)
    np.testing.assert_allclose(to_numpy(z), np.stack(steps, axis=1), rtol=1e-6)
    np.testing.assert_allclose(total_loss(distributed), losses, rtol=1e-6)
    assert_same_state(layer, alone, rtol=1e-6)


@configs("sampling_kl_weight")
def test_time_distributed_in_fit(config):
    """The losses of all steps reach a compiled `fit` (on JAX see keras issue 21605)."""
    encoder = keras.layers.Dense(4, kernel_initializer="identity")
    distributed = keras.layers.TimeDistributed(make(config))
    model = keras.Sequential([keras.Input((3, 4)), encoder, distributed])
    model.compile(keras.optimizers.SGD(0.0))  # no loss but the layer's
    x = np.random.default_rng(0).normal(size=(8, 3, 4)).astype("float32")
    history = model.fit(x, batch_size=8, verbose=0).history
    np.testing.assert_allclose(history["loss"], [0.5 * np.sum(x**2) / 8], rtol=1e-5)


@every_computation
@training_or_not
def test_compiled_equals_eager(config, training):
    layer = make(config)
    layer.build((8, 4))
    variables = [variable.value for variable in layer.non_trainable_variables]
    amplitude = random_amplitude((8, 4))

    def call(variables, amplitude):
        return layer.stateless_call([], variables, amplitude, training=training, return_losses=True)

    if BACKEND == "tensorflow":
        # XLA draws other noise from a seed than TensorFlow itself, in Dropout too.
        import tensorflow as tf

        compiled_call = tf.function(call)
    else:
        compiled_call = compiled(call)
    actual = keras.tree.flatten(compiled_call(variables, amplitude))
    expected = keras.tree.flatten(call(variables, amplitude))
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-5, atol=1e-6)


@configs("vib_feature")
def test_fit_compiled(config):
    """`jit_compile=True` trains as `run_eagerly=True` does: state for state."""
    layers = []
    for how in ({"jit_compile": BACKEND != "torch"}, {"run_eagerly": True}):
        keras.utils.set_random_seed(1)
        layer = make(config)
        model = functional(layer)
        # A learning rate of 0, since on TensorFlow XLA draws other noise.
        model.compile(keras.optimizers.SGD(0.0), "mse", **how)
        history = model.fit(*batch_for(model, 16), batch_size=8, shuffle=False, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        layers.append(layer)
    assert_same_state(*layers, rtol=1e-5)
    assert layers[0].rate_tracker.result(training=True) > 0.0


@one_of_each
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(config, policy):
    """Outputs in the compute dtype from float32 inputs, with gradients in float32."""
    layer = make(config, dtype=policy)
    amplitude = random_amplitude((8, 4))
    assert make(config, dtype=policy)(keras.Input((4,))).dtype == layer.compute_dtype
    z = layer(amplitude, training=True)
    assert keras.backend.standardize_dtype(z.dtype) == layer.compute_dtype
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    slope = gradient(lambda x: make(config, dtype=policy)(x, training=True), amplitude)
    assert keras.backend.standardize_dtype(slope.dtype) == "float32"
    full = gradient(lambda x: make(config)(x, training=True), amplitude)
    np.testing.assert_allclose(to_numpy(slope), to_numpy(full), atol=0.05)


# TensorFlow alone has stricter types in a graph.
eagerly_or_not = pytest.mark.parametrize("eagerly", [True, False][: 1 + (BACKEND == "tensorflow")])


@configs("vib_feature")
@pytest.mark.parametrize("policy", POLICIES)
@eagerly_or_not
def test_fit_with_dtype_policy(config, policy, eagerly):
    with dtype_enabled(policy):
        keras.config.set_dtype_policy(policy)
        try:
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), make(config)])
            # No loss scale: it begins so high that the first steps overflow.
            how = {"run_eagerly": eagerly, "jit_compile": False}
            model.compile("sgd", "mse", auto_scale_loss=False, **how)
            before = state(model)
            model.fit(*batch_for(model), verbose=0)
        finally:
            keras.config.set_dtype_policy("float32")
        for weight, old, new in zip(model.weights, before, state(model), strict=True):
            assert np.isfinite(new).all(), weight.path
            assert (old != new).any() or not weight.path.endswith("kernel"), weight.path


def extreme_amplitudes(dtype):
    """Return batches of zeros, of subnormal and of the largest numbers."""
    largest = {"bfloat16": 3.3895314e38}.get(dtype) or float(np.finfo(dtype).max)
    subnormal = {"bfloat16": 1e-40}.get(dtype) or float(np.finfo(dtype).tiny) / 4
    # 1e30 where the dtype has it: its square is beyond the range of float32
    large = np.array([largest, -largest, min(1e30, largest), 1.0])
    mixed = np.stack([np.roll(large, shift) for shift in range(8)])
    mixed[-1] = [0.0, subnormal, largest, -1.0]
    return [np.zeros((8, 4)), np.full((8, 4), subnormal), mixed]


def check_numbers(config, dtype, training):
    """Outputs in the dtype; outputs, losses, weights and gradients all finite."""

    def loss(amplitude):
        layer = make(config, dtype=dtype)
        total = ops.sum(layer(amplitude, training=training))
        return total + sum(ops.cast(loss, dtype) for loss in layer.losses)

    for values in extreme_amplitudes(dtype):
        amplitude = tensor(values, dtype)
        layer = make(config, dtype=dtype)
        z = layer(amplitude, training=training)
        assert keras.backend.standardize_dtype(z.dtype) == dtype
        assert np.isfinite(to_numpy(z)).all(), values[0]
        assert np.isfinite(total_loss(layer)), values[0]
        for weight in layer.weights:
            assert weight.dtype in ("float32", "float64")
            assert np.isfinite(to_numpy(weight)).all(), (weight.path, values[0])
        assert np.isfinite(to_numpy(gradient(loss, amplitude))).all(), values[0]


@every_computation
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_no_finite_amplitude_breaks_the_numbers(config, dtype):
    with dtype_enabled(dtype):
        check_numbers(config, dtype, training=True)


@configs("rate_feature", "vib_batch", "vib_instance", "vib_sample")
@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_no_finite_amplitude_breaks_inference(config, dtype):
    """Before any training too, when amplitudes pass unscaled."""
    with dtype_enabled(dtype):
        check_numbers(config, dtype, training=False)


@every_computation
@training_or_not
def test_gradient_against_finite_differences(config, training):
    """In float64, the noise held fixed by the seed, the batch's mean square included."""
    with dtype_enabled("float64"):

        def loss(amplitude):
            return sum_of(make(config, dtype="float64")(amplitude, training=training))

        amplitude = random_amplitude((8, 4), "float64")
        slope = to_numpy(gradient(loss, amplitude))
        direction = np.random.default_rng(1).normal(size=(8, 4))
        step = tensor(1e-5 * direction, "float64")
        difference = to_numpy(loss(amplitude + step)) - to_numpy(loss(amplitude - step))
        np.testing.assert_allclose(np.sum(slope * direction), difference / 2e-5, rtol=1e-6)


@every_config
@training_or_not
def test_masked_positions_do_not_matter(config, training):
    """A NaN does not reach other outputs, or losses, statistics and rates."""
    mask = np.array([[True, True, False, True], [False, True, True, False]])
    values = np.random.default_rng(0).normal(size=(2, 4, 4)).astype("float32")
    garbage = np.where(mask[..., None], values, 1e3).astype("float32")
    outputs, losses, layers = [], [], []
    for amplitude in (values, garbage):
        layer = make(config)
        outputs.append(to_numpy(layer(amplitude, mask=mask, training=training))[mask])
        losses.append(total_loss(layer))
        layers.append(layer)
    np.testing.assert_allclose(*outputs, rtol=1e-5)
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert_same_state(*layers, rtol=1e-6)


@every_config
def test_automatic_mask(config):
    """The mask of an Embedding or Masking counts as an explicit one and continues."""
    tokens = np.array([[1, 2, 3, 0], [3, 0, 0, 0]])
    embedding = keras.layers.Embedding(4, 4, embeddings_initializer="normal", mask_zero=True)
    embedded = embedding(tokens)
    layer, explicit = make(config), make(config)
    z = layer(embedded, training=True)
    samples = getattr(layer, "num_samples", None)
    expected_mask = tokens != 0 if samples is None else np.stack([tokens != 0] * samples, axis=-1)
    assert expected_mask.shape == z.shape[:-1]
    np.testing.assert_array_equal(to_numpy(get_keras_mask(z)), expected_mask)
    expected = explicit(to_numpy(embedded), mask=tokens != 0, training=True)
    np.testing.assert_allclose(to_numpy(z), to_numpy(expected), rtol=1e-6)
    np.testing.assert_allclose(total_loss(layer), total_loss(explicit), rtol=1e-6)
    assert_same_state(layer, explicit, rtol=1e-6)

    inputs = keras.Input((None, 4))
    outputs = make(config)(keras.layers.Masking()(inputs))
    x = np.where((tokens != 0)[..., None], to_numpy(embedded), 0.0)
    mask = get_keras_mask(keras.Model(inputs, outputs)(x))
    np.testing.assert_array_equal(to_numpy(mask), expected_mask)


@pytest.mark.parametrize("make_layer", [SlashedNormalSampling, lambda **a: FixedRateVIB(2.0, **a)])
@pytest.mark.parametrize(("rows", "steps", "samples"), [(8, 4, 3), (4, 4, 4)])
def test_a_masked_loss_of_several_draws(rows, steps, samples, make_layer):
    """Keras divides by the draws of the positions that count, whatever the lengths of the axes."""
    tokens = np.random.default_rng(0).integers(0, 5, (rows, steps))
    inputs = keras.Input((steps,), dtype="int32")
    embedded = keras.layers.Embedding(5, 6, mask_zero=True)(inputs)
    z = make_layer(num_samples=samples, kl_weight=0.0, inference="mean")(embedded)
    model = keras.Model(inputs, keras.layers.Dense(2)(z))
    model.compile("sgd", "mse")
    y = np.random.default_rng(1).normal(size=(rows, steps, samples, 2)).astype("float32")
    predicted = model.predict(tokens, verbose=0)
    expected = np.square(predicted - y).mean(-1)[tokens != 0].mean()
    np.testing.assert_allclose(model.evaluate(tokens, y, verbose=0), expected, rtol=1e-5)


def assert_same_predictions(one, other):
    restart_noise(one, other)
    x, _ = batch_for(one)
    np.testing.assert_allclose(to_numpy(one(x)), to_numpy(other(x)), rtol=1e-6, atol=1e-7)


@every_config
def test_save_and_load_model(config, tmp_path):
    model = functional(make(config, name="bottleneck"))
    x, _ = batch_for(model)
    model(x, training=True)
    path = os.path.join(tmp_path, "model.keras")
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded.get_layer("bottleneck")) is config[0]
    # Statistics, the KL weight and the mean rates as well
    assert_same_state(loaded, model, rtol=0)
    assert_same_predictions(loaded, model)


@one_of_each
def test_save_and_load_after_training(config, tmp_path):
    """Both formats; the model from `.keras` trains on without being compiled."""
    model = functional(make(config))
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = batch_for(model)
    model.fit(x, y, verbose=0)
    model.save(os.path.join(tmp_path, "model.keras"))
    model.save_weights(os.path.join(tmp_path, "model.weights.h5"))
    loaded = functional(make(config))
    loaded.load_weights(os.path.join(tmp_path, "model.weights.h5"))
    assert_same_state(loaded, model, rtol=0)
    assert_same_predictions(loaded, model)
    loaded = keras.saving.load_model(os.path.join(tmp_path, "model.keras"))
    loaded.run_eagerly = True
    assert_same_state(loaded, model, rtol=0)
    restart_noise(loaded, model)
    model.reset_metrics()
    np.testing.assert_allclose(loaded.train_on_batch(x, y), model.train_on_batch(x, y), rtol=1e-5)
    assert_same_state(loaded, model, rtol=1e-5)


@every_config
def test_clone_model(config):
    model = functional(make(config, name="bottleneck"))
    x, _ = batch_for(model)
    model(x, training=True)
    clone = keras.models.clone_model(model)
    configs = [each.get_layer("bottleneck").get_config() for each in (model, clone)]
    assert configs[0] == configs[1]
    assert not {id(v) for v in clone.variables} & {id(v) for v in model.variables}
    clone.set_weights(model.get_weights())
    assert_same_predictions(clone, model)


@every_config
@pytest.mark.parametrize("how", ["argument", "attribute", "loaded"])
def test_frozen(config, how):
    """A frozen layer keeps its state in training, but for the mean rates seen."""
    layer = make(config, trainable=how != "argument")
    if how != "argument":
        layer.trainable = False
    if how == "loaded":
        layer = type(layer).from_config(layer.get_config())
    layer.build((8, 4))
    before = state(layer)
    layer(random_amplitude((8, 4)), training=True)
    for weight, old, new in zip(layer.weights, before, state(layer), strict=True):
        assert (old != new).any() == weight.path.endswith("mean_rates"), weight.path


@every_config
def test_summary(config):
    layer = make(config, name="bottleneck")
    lines = []
    functional(layer).summary(print_fn=lines.append, line_length=100)
    (line,) = [line for line in "\n".join(lines).splitlines() if "bottleneck" in line]
    assert type(layer).__name__ in line
    assert str(layer.output.shape) in line
