"""The rate that amplitudes are scaled to, against the formulas in NumPy float64."""

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_slashed.ops import normalize_rate
from tests.support import FLOAT_DTYPES
from tests.support import assert_some_inputs_may_be_symbolic
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import random_amplitude
from tests.support import tensor
from tests.support import to_numpy

NORMALIZATIONS = ("batch", "instance", "feature")
PARTS = ("both", "mean")
SHAPE = (2, 3, 8)  # most tests have it: JAX compiles each operation again for every shape
# Of a mean rate whose amplitudes are rounded to the dtype.
TOLERANCE = {"float64": 1e-14, "float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}

every_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS)
every_part = pytest.mark.parametrize("part", PARTS)


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


def reference(psi, rate, normalization, part="both", keep=None):
    """Section 4.2 of the paper, of instances in rows, with `rate` the mean rate of one."""
    psi = np.float64(psi)
    rows = psi.reshape(-1, psi.shape[-1])
    num_latents = rows.shape[-1] // 2
    # (instance, real or imaginary, latent dimension)
    rows = rows.reshape(-1, 2, num_latents)
    scaled = rows if part == "both" else rows[:, :1]
    counted = scaled if keep is None else scaled[np.ravel(keep)]
    if normalization == "batch":
        factor = np.sqrt(rate * len(counted)) / np.linalg.norm(counted)
    elif normalization == "instance":
        factor = np.sqrt(rate) / np.sqrt(np.sum(scaled**2, axis=(1, 2), keepdims=True))
    else:
        factor = np.sqrt(rate / num_latents * len(counted) / np.sum(counted**2, axis=(0, 1)))
    result = rows.copy()
    result[:, : scaled.shape[1]] *= factor
    return result.reshape(psi.shape)


def rates_of_latents(psi, part):
    """Return the squares (instance, latent dimension) of what was scaled."""
    square = np.float64(psi).reshape(-1, 2, psi.shape[-1] // 2) ** 2
    return square[:, 0] + (square[:, 1] if part == "both" else 0.0)


# --- The target is reached


@every_normalization
@every_part
@pytest.mark.parametrize("rate", [0.05, 2.5])
def test_mean_rate_is_the_target(rate, normalization, part, dtype):
    amplitude = random_amplitude(SHAPE, dtype)
    scaled = normalize_rate(amplitude, rate, normalization, part)
    assert keras.backend.standardize_dtype(scaled.dtype) == dtype
    assert tuple(scaled.shape) == SHAPE
    rates = rates_of_latents(to_numpy(scaled), part)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(rates.sum(axis=1).mean(), rate, rtol=tolerance)
    if normalization == "instance":
        np.testing.assert_allclose(rates.sum(axis=1), rate, rtol=tolerance)
    if normalization == "feature":
        np.testing.assert_allclose(rates.mean(axis=0), rate / 4, rtol=tolerance)
    if part == "mean":
        np.testing.assert_array_equal(to_numpy(scaled)[..., 4:], to_numpy(amplitude)[..., 4:])


@every_normalization
@every_part
@pytest.mark.parametrize("shape", [SHAPE, (6, 8), (1, 8), (8,)])
def test_formula(shape, normalization, part):
    amplitude = random_amplitude(shape)
    scaled = normalize_rate(amplitude, 2.5, normalization, part)
    expected = reference(to_numpy(amplitude), 2.5, normalization, part)
    np.testing.assert_allclose(to_numpy(scaled), expected, rtol=1e-6)


@every_normalization
@every_part
def test_direction_is_kept_and_size_forgotten(normalization, part):
    amplitude = random_amplitude(SHAPE)
    scaled = to_numpy(normalize_rate(amplitude, 2.5, normalization, part))
    factor = scaled / to_numpy(amplitude)
    assert (factor > 0.0).all()
    # One factor: of all, of each instance, or of each latent dimension.
    axes = {"batch": (0, 1, 2), "instance": 2, "feature": (0, 1)}[normalization]
    np.testing.assert_allclose(np.ptp(factor[..., :4], axis=axes), 0.0, atol=1e-5)
    for size in (1e-6, 1e6):
        resized = to_numpy(normalize_rate(amplitude * size, 2.5, normalization, part))
        scaled_half = slice(0, 8 if part == "both" else 4)
        np.testing.assert_allclose(resized[..., scaled_half], scaled[..., scaled_half], rtol=1e-5)


@every_normalization
def test_small_float16_amplitudes_reach_the_rate(normalization):
    """Of norm 2e-3, whose squares float16 does not hold."""
    psi = np.full(SHAPE, 2e-3 / np.sqrt(8.0))
    if normalization == "feature":
        psi = np.full(SHAPE, 2e-3)
    scaled = to_numpy(normalize_rate(tensor(psi, "float16"), 2.5, normalization))
    rates = rates_of_latents(scaled, "both").sum(axis=1)
    np.testing.assert_allclose(rates, 2.5, rtol=2e-3)


# --- Masks

MASK = np.array([[True, False, True], [True, True, False]])


@every_normalization
@every_part
def test_mask_leaves_instances_out(normalization, part):
    amplitude = random_amplitude(SHAPE)
    psi = to_numpy(amplitude)
    scaled = to_numpy(normalize_rate(amplitude, 2.5, normalization, part, mask=MASK))
    # As if only the others were there; what is masked is the prior.
    kept = to_numpy(normalize_rate(psi[MASK], 2.5, normalization, part))
    np.testing.assert_allclose(scaled[MASK], kept, rtol=1e-6)
    expected = reference(psi, 2.5, normalization, part, keep=MASK)
    np.testing.assert_allclose(scaled[MASK], expected[MASK], rtol=1e-6)
    np.testing.assert_array_equal(scaled[~MASK], 0.0)
    # A list of integers is a mask too.
    listed = normalize_rate(amplitude, 2.5, normalization, part, mask=MASK.astype(int).tolist())
    np.testing.assert_array_equal(to_numpy(listed), scaled)


@every_normalization
@pytest.mark.parametrize("masked", [np.nan, np.inf])
def test_what_is_masked_does_not_spread(masked, normalization):
    psi = to_numpy(random_amplitude(SHAPE))
    expected = to_numpy(normalize_rate(psi, 2.5, normalization, mask=MASK))
    psi = np.where(MASK[..., None], psi, np.float32(masked))
    scaled = to_numpy(normalize_rate(psi, 2.5, normalization, mask=MASK))
    np.testing.assert_array_equal(scaled[MASK], expected[MASK])


@every_normalization
def test_what_is_masked_does_not_spread_in_the_gradient(normalization):
    """Where the loss leaves masked positions out as well."""
    weights = random_amplitude(SHAPE, seed=1)

    def loss(amplitude):
        scaled = normalize_rate(amplitude, 2.5, normalization, mask=MASK)
        return keras.ops.where(MASK[..., None], weights * scaled, 0.0)

    psi = to_numpy(random_amplitude(SHAPE))
    expected = to_numpy(gradient(loss, psi))
    psi = np.where(MASK[..., None], psi, np.float32(np.nan))
    computed = to_numpy(gradient(loss, psi))
    np.testing.assert_allclose(computed[MASK], expected[MASK], rtol=1e-5, atol=1e-6)


@every_normalization
@every_part
@pytest.mark.parametrize("measured", [True, False])
def test_what_is_masked_is_the_prior_whatever_else_there_is(normalization, part, measured):
    """A NaN in an instance that counts makes the scale NaN, or the mean square itself is."""
    mean_square = None
    if not measured and normalization != "instance":
        shape = () if normalization == "batch" else (SHAPE[-1] // 2,)
        mean_square = np.full(shape, np.nan, "float32")

    def scale(amplitude):
        return normalize_rate(amplitude, 2.5, normalization, part, mean_square, MASK)

    psi = to_numpy(random_amplitude(SHAPE)).copy()
    psi[tuple(np.argwhere(MASK)[0])] = np.nan
    psi[tuple(np.argwhere(~MASK)[0])] = np.nan
    np.testing.assert_array_equal(to_numpy(scale(psi))[~MASK], 0.0)
    np.testing.assert_array_equal(to_numpy(gradient(scale, psi))[~MASK], 0.0)


@every_normalization
@every_part
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_mask_of_nothing_is_finite(normalization, part, dtype):
    def scale(amplitude):
        mask = np.zeros(SHAPE[:-1], "bool")
        return normalize_rate(amplitude, 2.5, normalization, part, mask=mask)

    amplitude = random_amplitude(SHAPE, dtype)
    assert np.isfinite(to_numpy(scale(amplitude))).all()
    assert np.isfinite(to_numpy(gradient(scale, amplitude))).all()


@every_normalization
@every_part
def test_mask_of_one_vector(normalization, part):
    amplitude = random_amplitude((8,))
    scaled = to_numpy(normalize_rate(amplitude, 2.5, normalization, part, mask=True))
    expected = reference(to_numpy(amplitude), 2.5, normalization, part)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)


# --- A given mean square


@every_part
@pytest.mark.parametrize(
    ("normalization", "mean_square"),
    [("batch", np.array(0.3)), ("feature", np.array([0.1, 0.2, 3.0, 40.0]))],
)
def test_given_mean_square(normalization, mean_square, part, dtype):
    amplitude = random_amplitude(SHAPE, dtype)
    scaled = normalize_rate(
        amplitude, 2.5, normalization, part, mean_square=tensor(mean_square, "float32")
    )
    assert keras.backend.standardize_dtype(scaled.dtype) == dtype
    psi = to_numpy(amplitude).astype("float64")
    expected = psi.copy()
    for half in range(2 if part == "both" else 1):
        latents = slice(4 * half, 4 * half + 4)
        target = 2.5 if normalization == "batch" else 2.5 / 4
        expected[..., latents] *= np.sqrt(target / mean_square)
    rtol = max(float(ml_dtypes.finfo(dtype).eps), 1e-6)
    np.testing.assert_allclose(to_numpy(scaled), expected, rtol=rtol)


@pytest.mark.parametrize("mean_square", [2, 2.0, np.float64(2.0), np.array(2.0)])
def test_kinds_of_mean_squares(mean_square):
    """NumPy's default float64 among them, for a float32 amplitude."""
    amplitude = random_amplitude(SHAPE)
    scaled = normalize_rate(amplitude, 2.0, "batch", mean_square=mean_square)
    assert keras.backend.standardize_dtype(scaled.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(scaled), to_numpy(amplitude), rtol=1e-6)


# --- Rates as tensors


@every_normalization
@every_part
@pytest.mark.parametrize("kind", ["tensor", "array", "variable", "integer"])
def test_scalar_tensor_rate(kind, normalization, part, dtype):
    amplitude = random_amplitude(SHAPE, dtype)
    rate = {
        "tensor": tensor(2.0, "float32"),
        "array": np.array(2.0),
        "variable": keras.Variable(2.0),
        "integer": 2,
    }[kind]
    scaled = normalize_rate(amplitude, rate, normalization, part)
    assert keras.backend.standardize_dtype(scaled.dtype) == dtype
    expected = normalize_rate(amplitude, 2.0, normalization, part)
    rtol = {"float64": 1e-6}.get(dtype, 2 * float(ml_dtypes.finfo(dtype).eps))
    np.testing.assert_allclose(to_numpy(scaled), to_numpy(expected), rtol=rtol)


RATES = np.array([[0.1, 1.0, 2.0], [5.0, 0.7, 30.0]])


@every_part
def test_a_rate_for_each_instance(part, dtype):
    amplitude = random_amplitude(SHAPE, dtype)
    scaled = to_numpy(normalize_rate(amplitude, tensor(RATES, "float32"), "instance", part))
    achieved = rates_of_latents(scaled, part).sum(axis=1)
    rtol = max(TOLERANCE[dtype], 1e-6)
    np.testing.assert_allclose(achieved, RATES.ravel(), rtol=rtol)
    np.testing.assert_allclose(achieved.mean(), RATES.mean(), rtol=rtol)


@every_normalization
@pytest.mark.parametrize("rate", [1.0, [1.0, 1.1, 2.2]], ids=["scalar", "each"])
def test_a_float32_rate_is_exact_for_a_float64_amplitude(rate, normalization):
    """With five latent dimensions, a fifth of it in float32 is wrong in the eighth digit."""
    rate = np.float32(rate)
    with dtype_enabled("float64"):
        amplitude = tensor(np.random.default_rng(0).normal(size=(3, 10)), "float64")
        scaled = normalize_rate(amplitude, tensor(rate, "float32"), normalization)
    rates = rates_of_latents(to_numpy(scaled), "both")
    expected = np.broadcast_to(np.float64(rate), 3)
    rtol = TOLERANCE["float64"]
    np.testing.assert_allclose(rates.sum(axis=1).mean(), expected.mean(), rtol=rtol)
    if normalization == "instance":
        np.testing.assert_allclose(rates.sum(axis=1), expected, rtol=rtol)
    if normalization == "feature":
        np.testing.assert_allclose(rates.mean(axis=0), expected.mean() / 5, rtol=rtol)


@every_normalization
def test_gradient_with_respect_to_a_scalar_rate(normalization):
    """The scaled amplitude goes with the root of the rate: d psi / d rate = psi / (2 rate)."""
    amplitude = random_amplitude(SHAPE)
    weights = random_amplitude(SHAPE, seed=1)
    computed = gradient(
        lambda rate: weights * normalize_rate(amplitude, rate, normalization), np.float32(2.5)
    )
    scaled = to_numpy(normalize_rate(amplitude, 2.5, normalization))
    np.testing.assert_allclose(
        to_numpy(computed), np.sum(to_numpy(weights) * scaled) / 5.0, rtol=1e-5
    )


def test_gradient_with_respect_to_the_rate_of_each_instance():
    amplitude = random_amplitude(SHAPE)
    weights = random_amplitude(SHAPE, seed=1)
    rates = RATES.astype("float32")
    computed = gradient(lambda rate: weights * normalize_rate(amplitude, rate, "instance"), rates)
    scaled = to_numpy(normalize_rate(amplitude, rates, "instance"))
    expected = np.sum(to_numpy(weights) * scaled, axis=-1) / (2.0 * rates)
    np.testing.assert_allclose(to_numpy(computed), expected, rtol=1e-5)


# --- Gradients


def weighted(normalization, part="both", mask=None, dtype="float32", rate=2.5):
    """Return an elementwise loss, so that no gradient vanishes by symmetry."""
    weights = random_amplitude(SHAPE, dtype, seed=1)
    return lambda psi: weights * normalize_rate(psi, rate, normalization, part, mask=mask)


@every_normalization
@every_part
@pytest.mark.parametrize("mask", [None, MASK], ids=("all", "masked"))
def test_gradient_against_differences(mask, normalization, part):
    psi = to_numpy(random_amplitude(SHAPE)).astype("float64")
    step = 1e-5
    with dtype_enabled("float64"):
        loss = weighted(normalization, part, mask, "float64")
        computed = to_numpy(gradient(loss, tensor(psi, "float64")))
        total = compiled(lambda psi: keras.ops.sum(loss(psi)))
        expected = np.empty(SHAPE)
        for index in np.ndindex(SHAPE):
            moved = np.zeros(SHAPE)
            moved[index] = step
            above, below = (float(total(tensor(psi + h, "float64"))) for h in (moved, -moved))
            expected[index] = (above - below) / (2.0 * step)
    np.testing.assert_allclose(computed, expected, rtol=1e-7, atol=1e-9)


@every_normalization
def test_gradient_is_orthogonal_to_what_is_scaled(normalization):
    """A step along the amplitude changes nothing: the scale is forgotten."""
    psi = to_numpy(random_amplitude(SHAPE))
    computed = to_numpy(gradient(weighted(normalization), psi))
    product = (psi * computed).reshape(6, 2, 4)
    axes = {"batch": (0, 1, 2), "instance": (1, 2), "feature": (0, 1)}[normalization]
    assert np.abs(computed).max() > 0.1
    np.testing.assert_allclose(product.sum(axis=axes), 0.0, atol=1e-5)


# --- Zero and extreme amplitudes


@every_normalization
@every_part
@pytest.mark.parametrize("rate", [2.5, 50000.0])
def test_zero_amplitude(normalization, part, rate, dtype):
    psi = tensor(np.zeros(SHAPE), dtype)
    np.testing.assert_array_equal(to_numpy(normalize_rate(psi, rate, normalization, part)), 0.0)
    # Weights of at most 1: what comes from above may be large for reasons of its own.
    loss = weighted(normalization, part, dtype=dtype, rate=rate)
    computed = to_numpy(gradient(lambda psi: 0.25 * loss(psi), psi))
    assert np.isfinite(computed).all()
    assert (computed[..., : SHAPE[-1] // 2] != 0.0).all()


@every_normalization
def test_one_zero_instance_among_others(normalization, dtype):
    psi = to_numpy(random_amplitude(SHAPE))
    psi[0, 1] = 0.0
    psi = tensor(psi, dtype)
    scaled = to_numpy(normalize_rate(psi, 2.5, normalization))
    np.testing.assert_array_equal(scaled[0, 1], 0.0)
    assert (scaled[0, 0] != 0.0).all()
    computed = to_numpy(gradient(weighted(normalization, dtype=dtype), psi))
    assert np.isfinite(computed).all()


@every_normalization
@every_part
def test_extreme_amplitudes_stay_finite(normalization, part, dtype):
    info = ml_dtypes.finfo(dtype)
    largest = float(info.max)
    extremes = [largest, 1e30, 1e19, 300.0, 1e-4, 1e-20, float(info.tiny)]
    extremes += [float(info.smallest_subnormal)]
    psi = to_numpy(random_amplitude(SHAPE)).astype("float64")
    for extreme in np.minimum(extremes, largest):
        everywhere = extreme * np.sign(psi)
        one_entry, one_instance = psi.copy(), psi.copy()
        one_entry[0, 0, 0] = extreme
        one_instance[0, 0] = everywhere[0, 0]
        for values in (everywhere, one_entry, one_instance):
            amplitude = tensor(values, dtype)
            scaled = to_numpy(normalize_rate(amplitude, 2.5, normalization, part))
            assert np.isfinite(scaled).all()
            loss = weighted(normalization, part, dtype=dtype)
            assert np.isfinite(to_numpy(gradient(loss, amplitude))).all()


@pytest.mark.parametrize("extreme", [3e38, 1e30, 1e19, 1e-9])
@every_normalization
def test_extreme_amplitudes_reach_the_rate(normalization, extreme):
    """Squares of float32 overflow from 1.8e19 on; below 1e-10 a norm is clamped."""
    psi = extreme * np.sign(to_numpy(random_amplitude(SHAPE)))
    scaled = to_numpy(normalize_rate(tensor(psi, "float32"), 2.5, normalization))
    rates = rates_of_latents(scaled, "both").sum(axis=1)
    np.testing.assert_allclose(rates, 2.5, rtol=1e-6)


# --- Compiled and symbolic


@every_normalization
@every_part
@pytest.mark.parametrize("mask", [None, MASK], ids=("all", "masked"))
def test_compiled_equals_eager(mask, normalization, part):
    amplitude = random_amplitude(SHAPE)
    loss = weighted(normalization, part, mask)
    for function in (loss, lambda psi: gradient(loss, psi)):
        computed, expected = compiled(function)(amplitude), function(amplitude)
        np.testing.assert_allclose(to_numpy(computed), to_numpy(expected), rtol=1e-5, atol=1e-6)


@every_normalization
@every_part
@pytest.mark.parametrize("masked", [False, True])
def test_symbolic(masked, normalization, part, dtype):
    amplitude = keras.KerasTensor((None, None, 8), dtype=dtype)
    mask = keras.KerasTensor((None, None), dtype="bool") if masked else None
    scaled = normalize_rate(amplitude, 2.5, normalization, part, mask=mask)
    assert scaled.shape == (None, None, 8)
    assert scaled.dtype == dtype


def test_functional_model():
    amplitude, mask, rate = keras.Input((3, 8)), keras.Input((3,), dtype="bool"), keras.Input((3,))
    outputs = [
        normalize_rate(amplitude, 2.5, "feature", mask=mask),
        normalize_rate(amplitude, rate, "instance", "mean"),
    ]
    model = keras.Model([amplitude, mask, rate], outputs)
    psi, rates = random_amplitude(SHAPE), tensor(RATES, "float32")
    expected = (
        normalize_rate(psi, 2.5, "feature", mask=MASK),
        normalize_rate(psi, rates, "instance", "mean"),
    )
    inputs = [psi, keras.ops.convert_to_tensor(MASK), rates]
    for computed, value in zip(model(inputs), expected):
        np.testing.assert_allclose(to_numpy(computed), to_numpy(value), rtol=1e-6)


def test_a_symbolic_mask_of_integers():
    """It is a mask, and no weight of the instances."""
    psi, mask = np.random.default_rng(0).normal(size=(5, 3, 4)), np.full((5, 3), 2)
    inputs = keras.Input((3, 4)), keras.Input((3,), dtype="int32")
    model = keras.Model(inputs, normalize_rate(inputs[0], 2.0, mask=inputs[1]))
    scaled = to_numpy(model([psi.astype("float32"), mask.astype("int32")]))
    np.testing.assert_allclose(np.square(scaled).sum(-1).mean(), 2.0, rtol=1e-6)


def test_some_inputs_are_symbolic():
    psi, rates = random_amplitude(SHAPE), tensor(RATES, "float32")

    def function(amplitude, rate):
        return [
            normalize_rate(amplitude, rate, "batch"),
            normalize_rate(amplitude, rate, "instance", "mean", mask=MASK),
            normalize_rate(amplitude, rate, "feature", mean_square=np.arange(1.0, 5.0)),
        ]

    assert_some_inputs_may_be_symbolic(function, psi, rates)


# --- Errors


@pytest.mark.parametrize("rate", [0, 0.0, -1.0, float("nan"), float("inf"), np.float32(-1), True])
def test_rate_out_of_range(rate):
    with pytest.raises(ValueError, match="`rate` must be a positive, finite number") as error:
        normalize_rate(np.ones((2, 4)), rate)
    assert f"Received: rate={rate!r}" in str(error.value)


def test_unknown_normalization():
    with pytest.raises(ValueError, match="'batch', 'instance', 'feature'") as error:
        normalize_rate(np.ones((2, 4)), 1.0, "layer")
    assert "Received: normalization='layer'" in str(error.value)


def test_unknown_part():
    with pytest.raises(ValueError, match="'both', 'mean'") as error:
        normalize_rate(np.ones((2, 4)), 1.0, part="real")
    assert "Received: part='real'" in str(error.value)


@every_normalization
@pytest.mark.parametrize("shape", [(2, 3), (), (2, None)])
def test_amplitude_without_two_halves(shape, normalization):
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 2K\).*even") as error:
        normalize_rate(keras.KerasTensor(shape), 1.0, normalization)
    assert f"Received: amplitude.shape={shape}" in str(error.value)


@every_normalization
@pytest.mark.parametrize("shape", [(), (2,), (3,), (3, 2), (2, 3, 1), (2, 3, 8)])
def test_mask_of_another_shape(shape, normalization):
    with pytest.raises(ValueError, match="`mask` must have the shape of the amplitude") as error:
        normalize_rate(np.ones(SHAPE), 1.0, normalization, mask=np.ones(shape, "bool"))
    assert "(2, 3)" in str(error.value)
    assert f"Received: mask.shape={shape}" in str(error.value)


@pytest.mark.parametrize(
    ("normalization", "shape", "expected"),
    [
        ("batch", (1,), "()"),
        ("batch", (4,), "()"),
        ("feature", (), "(4,)"),
        ("feature", (8,), "(4,)"),
        ("feature", (1, 4), "(4,)"),
    ],
)
def test_mean_square_of_another_shape(normalization, shape, expected):
    with pytest.raises(ValueError, match="`mean_square` must have the shape") as error:
        normalize_rate(np.ones(SHAPE), 1.0, normalization, mean_square=np.ones(shape))
    assert expected in str(error.value)
    assert f'"{normalization}"' in str(error.value)
    assert f"Received: mean_square.shape={shape}" in str(error.value)


def test_mean_square_for_instances():
    with pytest.raises(ValueError, match=r'`mean_square` requires .*"batch" or "feature"'):
        normalize_rate(np.ones(SHAPE), 1.0, "instance", mean_square=1.0)


@pytest.mark.parametrize(
    ("normalization", "shape"),
    [("batch", (6, 2)), ("feature", (4,)), ("instance", (6,)), ("instance", (1, 2))],
)
def test_rate_tensor_of_a_shape_that_does_not_fit(normalization, shape):
    with pytest.raises(ValueError, match=r"`rate` must be a scalar.*Received.*rate\.shape"):
        normalize_rate(random_amplitude(SHAPE), keras.ops.ones(shape), normalization)
