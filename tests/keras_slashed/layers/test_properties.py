"""Properties of every layer for any configuration, shape, dtype and input.

Random cases, hostile ones among them; `tests/property_profiles.py` says how many.
"""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from keras import tree
from keras.src.testing.test_case import get_seed_generators

from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from tests.keras_slashed.layers.cases import ROUNDING
from tests.keras_slashed.layers.cases import amplitudes
from tests.keras_slashed.layers.cases import call
from tests.keras_slashed.layers.cases import call_inputs
from tests.keras_slashed.layers.cases import layer_cases
from tests.keras_slashed.layers.cases import masks
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy
from tests.support import total_loss

pytestmark = pytest.mark.scaled
NAN, INF = float("nan"), float("inf")


# Tolerances for the rounding of each dtype.
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def check_same(one, two, dtype):
    """Check that arrays are equal to a few roundings of their rows.

    Not bit for bit: TensorFlow in float64 gave some entries that a mask leaves alone another
    last digit when others changed, presumably by where they lie in a vectorized loop.
    """
    one, two = np.asarray(one, "float64"), np.asarray(two, "float64")
    rows = np.max(np.abs(two), axis=-1, keepdims=True, initial=0.0) if two.ndim else np.abs(two)
    assert np.all(np.abs(one - two) <= 8 * EPSILON[dtype] * rows), (one, two)


@st.composite
def hostile_calls(draw):
    case = draw(layer_cases())
    return case, draw(amplitudes(case)), draw(call_inputs(case))


@given(hostile_calls(), st.booleans(), st.data())
def test_finite_inputs_give_finite_numbers(hostile, training, data):
    """Outputs in the dtype; outputs, losses, state and gradients without NaN or infinity."""
    case, values, inputs = hostile
    with dtype_enabled(case.dtype):
        layer = case.make()
        z = call(layer, values, training, **inputs)
        assert keras.backend.standardize_dtype(z.dtype) == case.dtype
        assert np.isfinite(to_numpy(z)).all()
        assert np.isfinite(total_loss(layer))
        for weight in layer.weights:
            assert np.isfinite(to_numpy(weight)).all(), weight.path

        # A sum over instances of what float16 just holds may leave its range.
        others = inputs.keys() - {"mask"} if case.dtype != "float16" else set()
        if not training and case.arguments.get("inference") == "mean":
            others -= {"rotation"}  # of the noise, on which a mean does not depend
        name = data.draw(st.sampled_from(["amplitude", *sorted(others)]))

        def loss(x):
            layer = case.make()
            z = call(layer, **{"amplitude": values, **inputs, name: x}, training=training)
            return ops.mean(ops.cast(z, "float32")) + sum(
                ops.cast(loss, "float32") for loss in layer.losses
            )

        at = values if name == "amplitude" else inputs[name]
        assert np.isfinite(to_numpy(gradient(loss, tensor(at, case.dtype)))).all(), name


@st.composite
def normalizing_calls(draw):
    case = draw(layer_cases(RateNormalization))
    return case, draw(amplitudes(case)), draw(call_inputs(case))


@given(normalizing_calls())
def test_the_rate_is_the_rate(hostile):
    """In training the rate is never above, and exact if the amplitude can be scaled."""
    case, values, inputs = hostile
    with dtype_enabled(case.dtype):
        amplitude = tensor(values, case.dtype)
        z = to_numpy(call(case.make(), amplitude, True, **inputs))
        raw, scaled = to_numpy(amplitude), z
        rates = np.full(case.shape[:-1], case.told)
        if "rate" in inputs:
            rates = to_numpy(tensor(inputs["rate"], case.dtype))
    kept = inputs.get("mask", np.ones(case.shape[:-1], "bool"))
    size = case.shape[-1] // 2
    largest, smallest = (2.0**12, 2.0**-20) if case.dtype == "float16" else (2.0**52, 1e-20)
    before = squares(np.clip(raw[kept].astype("float64"), -largest, largest), case)
    after = squares(scaled[kept].astype("float64"), case)
    told = rates[kept].astype("float64")
    assert not scaled[~kept].any()
    if len(told) == 0:
        return
    if case.arguments["normalization"] == "instance":
        mean_squares, reached = before.sum(axis=-1), after.sum(axis=-1)
    else:
        weights = told[:, None] / max(told.sum(), 1e-300)
        mean_squares, reached = (weights * before).sum(axis=0), after.mean(axis=0)
        told = told.mean()
        if case.arguments["normalization"] == "batch":
            mean_squares, reached = mean_squares.sum(), reached.sum()
        else:
            told = told / size
    rounding = ROUNDING[case.dtype]
    assert (reached <= told * (1 + rounding) + 1e-11).all(), (reached, told)
    reachable = mean_squares > 2 * smallest
    reached, told = np.broadcast_arrays(reached, told)
    np.testing.assert_allclose(reached[reachable], told[reachable], rtol=rounding, atol=1e-11)


def squares(amplitude, case):
    """Return what the layer scales of each latent dimension, squared."""
    real, imaginary = np.split(amplitude**2, 2, axis=-1)
    return real + imaginary if case.arguments["part"] == "both" else real


def outcome(case, values, training, inputs):
    """Return a layer's outputs, loss and state after a call."""
    layer = case.make()
    z = to_numpy(call(layer, values, training, **inputs))
    state = [np.array(to_numpy(weight)) for weight in layer.weights]
    return z, total_loss(layer), state


@st.composite
def masked_calls(draw):
    case = draw(layer_cases())
    values, garbage = draw(amplitudes(case)), draw(amplitudes(case))
    mask = draw(masks(case))
    if case.layer_class is not SlashedNormalSampling and draw(st.booleans()):
        garbage[...] = draw(st.sampled_from([NAN, INF]))
    garbage[mask] = values[mask]
    return case, values, garbage, draw(call_inputs(case, mask=False)) | {"mask": mask}


@given(masked_calls(), st.booleans())
def test_masked_positions_influence_nothing(drawn, training):
    """Neither outputs elsewhere nor losses, state and gradients."""
    case, values, garbage, inputs = drawn
    mask = inputs["mask"]
    with dtype_enabled(case.dtype):
        one = outcome(case, values, training, inputs)
        other = outcome(case, garbage, training, inputs)
        check_same(one[0][mask], other[0][mask], case.dtype)
        for here, there in zip(tree.flatten(one[1:]), tree.flatten(other[1:]), strict=True):
            # Losses and statistics are in float32 at least.
            check_same(here, there, "float32")

        def loss(amplitude):
            layer = case.make()
            z = ops.cast(call(layer, amplitude, training, **inputs), "float32")
            rows = ops.sum(ops.reshape(z, (*mask.shape, -1)), axis=-1)
            rows = ops.where(ops.convert_to_tensor(mask), rows, 0.0)
            return ops.mean(rows) + sum(ops.cast(loss, "float32") for loss in layer.losses)

        slopes = [
            to_numpy(gradient(loss, tensor(amplitude, case.dtype)))
            for amplitude in (values, garbage)
        ]
        check_same(*(slope[mask] for slope in slopes), case.dtype)
        for slope in slopes:
            assert not slope[~mask].any()


@given(hostile_calls(), st.booleans())
def test_a_layer_from_its_config_does_the_same(hostile, training):
    """Restore the layer from JSON, with its weights after a step of training."""
    case, values, inputs = hostile
    with dtype_enabled(case.dtype):
        layer = case.make()
        call(layer, values, True, **inputs)
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        other = keras.saving.deserialize_keras_object(config)
        assert other.get_config() == layer.get_config()
        if not other.built:
            other.build(case.shape)
        other.set_weights(layer.get_weights())
        for each in (layer, other):
            for generator in get_seed_generators(each):
                generator.state.assign([5, 0])
        one, two = (to_numpy(call(each, values, training, **inputs)) for each in (layer, other))
        np.testing.assert_array_equal(one, two)
        assert total_loss(layer) == total_loss(other)


@st.composite
def calls_with_a_bad_row(draw, *layer_classes, normalizations):
    """Draw a case, an amplitude, and which of its instances is to be bad."""
    normalization = draw(st.sampled_from(normalizations))
    # Free bits are of the batch, whatever the normalization.
    case = draw(layer_cases(*layer_classes, normalization=normalization, free_bits=0.0))
    values = draw(amplitudes(case, rows=("normal", "zeros", "large")))
    bad = np.zeros(case.shape[:-1], "bool")
    bad.flat[draw(st.integers(0, bad.size - 1))] = True
    return case, values, bad


@given(calls_with_a_bad_row(normalizations=["instance"]), st.booleans())
def test_a_row_of_nan_harms_no_other_with_instance(drawn, training):
    """Neither their outputs nor their gradients, of a loss that is itself NaN."""
    case, values, bad = drawn
    broken = np.where(bad[..., None], NAN, values)

    def loss(amplitude):
        layer = case.make()
        z = call(layer, amplitude, training)
        return ops.mean(ops.cast(z, "float32")) + sum(
            ops.cast(loss, "float32") for loss in layer.losses
        )

    with dtype_enabled(case.dtype):
        outputs = [to_numpy(call(case.make(), x, training))[~bad] for x in (values, broken)]
        check_same(*outputs, case.dtype)
        slopes = [to_numpy(gradient(loss, tensor(x, case.dtype)))[~bad] for x in (values, broken)]
        check_same(*slopes, case.dtype)


@given(calls_with_a_bad_row(RateNormalization, normalizations=["batch", "feature"]), st.data())
def test_a_nan_with_batch_or_feature_reaches_the_batch(drawn, data):
    """With "feature" in its latent dimension alone; a moving mean square never."""
    case, values, bad = drawn
    size = case.shape[-1] // 2
    entry = data.draw(st.integers(0, size - 1))  # of the real part, which every part scales
    broken = np.where(bad[..., None] & (np.arange(2 * size) == entry), NAN, values)
    with dtype_enabled(case.dtype):
        layer = case.make()
        z = to_numpy(call(layer, broken, True))
        expected = np.zeros(case.shape, "bool")
        scaled = 2 * size if case.arguments["part"] == "both" else size
        if case.arguments["normalization"] == "batch":
            expected[..., :scaled] = True
        else:
            expected[..., entry:scaled:size] = True
        np.testing.assert_array_equal(np.isnan(z), expected)
        assert not np.any(to_numpy(layer.moving_mean_square))

        # At inference it harms no other row, nor does infinity ever: it counts as the largest.
        fresh = case.make()
        call(fresh, values, True)
        one, two = (to_numpy(call(fresh, x, False)) for x in (values, broken))
        check_same(one[~bad], two[~bad], case.dtype)
        infinite = np.where(bad[..., None], INF, values)
        assert np.isfinite(to_numpy(call(fresh, infinite, True))).all()
