"""Rates of any size, from the smallest to the largest that float32 has: reached, and finite."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.ops import normalize_rate
from keras_slashed.ops.mean_square import relative_rate
from keras_slashed.ops.mean_square import unmasked_rate
from tests.support import compiled
from tests.support import float64_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy
from tests.support import total_loss

ROWS, SIZE = 12, 6
_rng = np.random.default_rng(0)
PSI = _rng.normal(size=(ROWS, SIZE)).astype("float32")
SHARES = _rng.uniform(0.1, 1.0, ROWS).astype("float32")
MASK = np.arange(ROWS) % 4 != 3
every_kind = pytest.mark.parametrize("normalization", ["batch", "feature", "instance"])
every_size = pytest.mark.parametrize("size", [3e38, 1e30, 1e19, 2.0, 1e-20, 1e-30, 1e-35])


def expected_mean_square(psi, rates, normalization):
    """NumPy, in float64: the weighted mean square of each instance or latent dimension."""
    psi, rates = psi.astype("float64"), rates.astype("float64")
    squares = np.sum(psi.reshape(-1, 2, SIZE // 2) ** 2, axis=1)
    if normalization == "instance":
        return squares.sum(axis=1, keepdims=True)
    mean = rates @ squares / rates.sum()
    return mean if normalization == "feature" else mean.sum()


def expected_scaled(psi, rates, normalization):
    """NumPy, in float64: what carries the rates."""
    mean_square = expected_mean_square(psi, rates, normalization)
    if normalization == "feature":
        mean_square = np.tile(mean_square * SIZE / 2, 2)
    return psi.astype("float64") * np.sqrt(rates.astype("float64")[:, None] / mean_square)


def assert_near(computed, expected, rtol=2e-6):
    """Compare in units of the largest: zeros and all sizes."""
    unit = np.abs(expected).max()
    computed = np.asarray(to_numpy(computed), "float64")
    assert np.isfinite(computed).all()
    np.testing.assert_allclose(computed / unit, expected / unit, rtol=rtol, atol=1e-7)


@every_size
@every_kind
def test_rates_of_instances(normalization, size):
    rates = np.float32(size) * SHARES
    expected = expected_scaled(PSI, rates, normalization)
    assert_near(normalize_rate(PSI, tensor(rates, "float32"), normalization), expected)
    masked = normalize_rate(
        PSI, tensor(np.where(MASK, rates, 3e38), "float32"), normalization, mask=MASK
    )
    assert_near(to_numpy(masked)[MASK], expected_scaled(PSI[MASK], rates[MASK], normalization))
    assert not to_numpy(masked)[~MASK].any()


@pytest.mark.parametrize("size", [3e38, 1e-30])
@pytest.mark.parametrize("normalization", ["batch", "feature"])
def test_compiled(normalization, size):
    """XLA divides by a product with a reciprocal, and has no subnormal numbers."""
    rates = np.float32(size) * SHARES
    function = compiled(lambda rates: normalize_rate(PSI, rates, normalization))
    expected = expected_scaled(PSI, rates, normalization)
    assert_near(function(tensor(rates, "float32")), expected)


@pytest.mark.parametrize("size", [1e34, 1e30, 1e-9])
@every_kind
def test_gradients(normalization, size):
    """Those by rates and by amplitudes, as without a size: psi grows as the rates' root."""

    def loss(psi, rates, unit):
        scaled = normalize_rate(psi, rates * unit, normalization) / np.float32(unit**0.5)
        return ops.sum(scaled * ops.convert_to_tensor(PSI[::-1].copy()))

    for function in (
        lambda unit: gradient(lambda psi: loss(psi, ops.convert_to_tensor(SHARES), unit), PSI),
        lambda unit: gradient(lambda rates: loss(ops.convert_to_tensor(PSI), rates, unit), SHARES),
    ):
        assert_near(function(size), to_numpy(function(1.0)).astype("float64"), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("size", [3e38, 1e30, 1e-30])
@every_kind
def test_layers(normalization, size, dtype):
    """Training, its statistics, the loss, and inference with the same rates."""
    rates = tensor(np.float32(size) * SHARES, "float32")
    layer = FixedRateVIB(1.0, normalization, kl_weight=1.0, dtype=dtype)
    twin = RateNormalization(1.0, normalization, dtype=dtype)
    psi = to_numpy(ops.cast(PSI, layer.compute_dtype))
    exact = to_numpy(rates).astype("float64")
    for training in (True, True, False):
        assert np.isfinite(to_numpy(layer(psi, rate=rates, training=training))).all()
        assert np.isfinite(total_loss(layer))
        scaled = to_numpy(twin(psi, rate=rates, training=training)).astype("float64")
        if dtype == "float32":
            assert_near(scaled, expected_scaled(psi, exact, normalization), rtol=1e-5)
        assert np.isfinite(scaled).all()
    for weight in layer.weights + twin.weights:
        assert np.isfinite(to_numpy(weight)).all(), weight.path
    if normalization != "instance":
        moving = to_numpy(twin.moving_mean_square) / to_numpy(twin.moving_weight)
        assert_near(moving, expected_mean_square(psi, exact, normalization), rtol=1e-5)
    if dtype == "float32" and size == 1e30:
        np.testing.assert_allclose(twin.rate_tracker.result(True), exact.mean(), rtol=1e-5)
        np.testing.assert_allclose(total_loss(layer), exact.mean(), rtol=1e-5)


@every_size
@every_kind
def test_fixed_rates(normalization, size):
    """As a number, to the function and to a layer."""
    layer = RateNormalization(size, normalization)
    expected = expected_scaled(PSI, np.full(ROWS, size), normalization)
    if normalization != "instance":  # no weights
        expected = expected_scaled(PSI, np.ones(ROWS), normalization) * np.sqrt(size)
    for scaled in (
        normalize_rate(PSI, size, normalization),
        normalize_rate(PSI, tensor(size, "float32"), normalization),
        layer(PSI, training=True),
        layer(PSI),
    ):
        assert_near(scaled, expected)
    for weight in layer.weights:
        assert np.isfinite(to_numpy(weight)).all()


@pytest.mark.parametrize("normalization", ["batch", "feature"])
def test_a_large_amplitude_at_inference(normalization):
    """A rate of 1e30, a moving mean square of nothing and an amplitude of 1e15: finite."""
    layer = RateNormalization(1e30, normalization)
    layer(1e-15 * PSI, training=True)
    assert np.isfinite(to_numpy(layer(1e15 * PSI))).all()
    slope = gradient(lambda psi: layer(psi), 1e15 * PSI)
    assert np.isfinite(to_numpy(slope)).all()


@pytest.mark.parametrize("normalization", ["batch", "feature"])
def test_what_does_not_count(normalization):
    """Nothing masked, no rate of 0, no batch without rows or rates moves a statistic."""
    layer = RateNormalization(1.0, normalization)
    rates = 1e30 * SHARES
    layer(PSI, rate=rates, training=True)
    before = [to_numpy(weight) for weight in layer.weights if "moving" in weight.path]
    for arguments in (
        {"rate": rates, "mask": np.zeros(ROWS, "bool")},
        {"rate": np.full(ROWS, np.nan, "float32"), "mask": np.zeros(ROWS, "bool")},
        {"rate": 0.0 * rates},
    ):
        scaled = to_numpy(layer(PSI, training=True, **arguments))
        np.testing.assert_array_equal(scaled, 0.0)
    layer(PSI[:0], rate=rates[:0], training=True)
    after = [to_numpy(weight) for weight in layer.weights if "moving" in weight.path]
    np.testing.assert_array_equal(np.concatenate([x.ravel() for x in after]),
                                  np.concatenate([x.ravel() for x in before]))  # fmt: skip
    # A row without a rate is scaled to nothing, and counts for nothing.
    some = rates * MASK
    scaled = normalize_rate(PSI, tensor(some, "float32"), normalization)
    assert_near(scaled, expected_scaled(PSI, some.astype("float32"), normalization))


@every_kind
def test_slopes_at_no_rate(normalization):
    for size in (0.0, 1e-38, 1e-20, 1e-12, 1e-6):
        rates = np.where(MASK, size, 1.0).astype("float32")
        slopes = gradient(lambda rates: normalize_rate(PSI, rates, normalization), rates)
        assert np.isfinite(to_numpy(slopes)).all()
        slope = gradient(lambda rate: normalize_rate(PSI, rate, normalization), np.float32(size))
        assert np.isfinite(to_numpy(slope))


def test_float64():
    """Sizes that float32 does not have."""
    with float64_enabled():
        for size in (1e300, 1e-300):
            shares, psi = SHARES.astype("float64"), tensor(PSI, "float64")
            rates = tensor(size * shares, "float64")
            for normalization in ("batch", "feature", "instance"):
                expected = expected_scaled(PSI, size * shares, normalization)
                scaled = normalize_rate(psi, rates, normalization)
                assert keras.backend.standardize_dtype(scaled.dtype) == "float64"
                assert_near(scaled, expected, rtol=1e-12)


def test_relative_rate():
    """In units of the largest that counts; what is no rate for each instance stays."""
    rates = ops.convert_to_tensor(np.array([1e30, 2e30, 4e30, 3e38], "float32"))
    rates = unmasked_rate(rates, np.array([True, True, True, False]))
    weights = to_numpy(relative_rate(rates, "float32"))
    np.testing.assert_allclose(weights, [0.25, 0.5, 1.0, 0.0], 1e-6)
    assert relative_rate(None, "float32") is None
    assert relative_rate(2.0, "float32") == 2.0
    scalar = ops.convert_to_tensor(2.0)
    assert relative_rate(scalar, "float32") is scalar
    np.testing.assert_array_equal(to_numpy(relative_rate(ops.zeros(3), "float32")), 0.0)


@pytest.mark.parametrize("normalization", ["batch", "feature", "instance"])
def test_an_infinite_rate_of_an_instance(normalization):
    """As another layer computes it in float16."""
    rates = tensor(np.where(MASK, SHARES, np.inf), "float16")
    assert np.isfinite(to_numpy(normalize_rate(PSI, rates, normalization))).all()


@every_kind
@pytest.mark.parametrize("make_layer", [None, RateNormalization])
@pytest.mark.parametrize("mask", [MASK, 2 * MASK.astype("int32")], ids=["bool", "int32"])
def test_a_masked_rate_that_is_no_number(normalization, make_layer, mask):
    """It affects neither values nor gradients."""
    mask = ops.convert_to_tensor(mask)
    rates = tensor(np.where(MASK, SHARES, np.nan), "float32")

    def scaled(psi, rates):
        if make_layer is None:
            return normalize_rate(psi, rates, normalization, mask=mask)
        return make_layer(1.0, normalization)(psi, rates, mask=mask, training=True)

    expected = scaled(PSI, tensor(SHARES, "float32"))
    np.testing.assert_array_equal(to_numpy(scaled(PSI, rates)), to_numpy(expected))
    slope = to_numpy(gradient(lambda psi: ops.square(scaled(psi, rates)), PSI))
    assert np.isfinite(slope).all()
    slope = to_numpy(gradient(lambda rates: scaled(PSI, rates), rates))
    np.testing.assert_array_equal(slope[~MASK], 0.0)
