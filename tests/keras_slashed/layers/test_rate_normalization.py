"""RateNormalization: the rate reached, the moving statistic, and arguments."""

import keras
import numpy as np
import pytest

from keras_slashed.layers import RateNormalization
from tests.support import to_numpy

RATE = 2.25
AMPLITUDE = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")

every_normalization = pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
every_part = pytest.mark.parametrize("part", ["both", "mean"])
# The two with a moving mean square
with_statistic = pytest.mark.parametrize("normalization", ["batch", "feature"])


def reference_square(amplitude, normalization, part):
    """Return the mean square of each entry's group, of the shape of the amplitude."""
    a, b = np.split(amplitude.astype("float64"), 2, axis=-1)
    square = a**2 + b**2 if part == "both" else a**2
    if normalization == "batch":
        square = np.full_like(a, square.sum(-1).mean())
    elif normalization == "instance":
        square = np.zeros_like(a) + square.sum(-1, keepdims=True)
    else:
        square = np.zeros_like(a) + square.mean(0) * a.shape[-1]
    return square


def reference(amplitude, square, part, rate=RATE):
    """Return the amplitude scaled to a rate, given its mean square."""
    a, b = np.split(amplitude.astype("float64"), 2, axis=-1)
    scale = np.sqrt(rate / square)
    return np.concatenate([a * scale, b * scale if part == "both" else b], axis=-1)


def state(layer):
    """Return the moving statistic, without the mean rates for RateMonitor."""
    return [to_numpy(weight).copy() for weight in layer.weights if "moving" in weight.path]


@every_normalization
@every_part
def test_training_normalizes_to_the_rate(normalization, part):
    layer = RateNormalization(RATE, normalization, part)
    scaled = to_numpy(layer(AMPLITUDE, training=True))
    square = reference_square(AMPLITUDE, normalization, part)
    np.testing.assert_allclose(scaled, reference(AMPLITUDE, square, part), rtol=1e-5)
    a, b = np.split(scaled, 2, axis=-1)
    rates = np.sum(a**2 + b**2 if part == "both" else a**2, axis=-1)
    np.testing.assert_allclose(
        rates if normalization == "instance" else rates.mean(), RATE, rtol=1e-5
    )


@every_normalization
@every_part
def test_inference_before_any_training(normalization, part):
    """Nothing is known yet: amplitudes pass unscaled, but for "instance"."""
    layer = RateNormalization(RATE, normalization, part)
    expected = AMPLITUDE
    if normalization == "instance":
        expected = reference(AMPLITUDE, reference_square(AMPLITUDE, "instance", part), part)
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE)), expected, rtol=1e-5)


@every_normalization
@every_part
@pytest.mark.parametrize("momentum", [0.99, 0.0])
def test_one_training_step_suffices(normalization, part, momentum):
    """The moving statistic is debiased: no warm-up at momentum 0.99."""
    layer = RateNormalization(RATE, normalization, part, momentum)
    in_training = to_numpy(layer(AMPLITUDE, training=True))
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE)), in_training, rtol=1e-5)


@with_statistic
@every_part
@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_moving_statistic(normalization, part, momentum):
    """Inference uses the debiased exponential average of the batches' mean squares."""
    layer = RateNormalization(RATE, normalization, part, momentum)
    batches = [scale * AMPLITUDE[::-1] for scale in (1.0, 3.0, 0.5)]
    for batch in batches:
        layer(batch, training=True)
    weights = momentum ** np.arange(len(batches))[::-1]
    squares = [reference_square(batch, normalization, part) for batch in batches]
    average = np.average(squares, axis=0, weights=weights)
    expected = reference(AMPLITUDE, average, part)
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE)), expected, rtol=1e-5)


@with_statistic
def test_only_training_changes_the_statistic(normalization):
    layer = RateNormalization(RATE, normalization)
    layer(AMPLITUDE)
    assert not np.any(np.concatenate([value.ravel() for value in state(layer)]))
    layer(AMPLITUDE, training=True)
    before = state(layer)
    layer(3.0 * AMPLITUDE)
    for old, new in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(old, new)
    layer(3.0 * AMPLITUDE, training=True)
    for old, new in zip(before, state(layer), strict=True):
        assert np.all(old < new)


def test_instance_has_no_statistic():
    layer = RateNormalization(RATE, "instance")
    layer(AMPLITUDE, training=True)
    assert [weight.path.split("/")[-1] for weight in layer.weights] == ["mean_rates"]


@with_statistic
def test_frozen_layer_uses_the_moving_statistic(normalization):
    """Like BatchNormalization. After it is unfrozen, it continues from its last value."""
    layer = RateNormalization(RATE, normalization)
    layer(AMPLITUDE, training=True)
    before = state(layer)
    layer.trainable = False
    other = 3.0 * AMPLITUDE
    expected = to_numpy(layer(other))
    np.testing.assert_allclose(to_numpy(layer(other, training=True)), expected, rtol=1e-6)
    for old, new in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(old, new)
    layer.trainable = True
    assert np.max(np.abs(to_numpy(layer(other, training=True)) - expected)) > 0.1


@with_statistic
def test_mask_leaves_instances_out(normalization):
    mask = np.arange(8) < 5
    layer = RateNormalization(RATE, normalization)
    scaled = to_numpy(layer(AMPLITUDE, mask=mask, training=True))
    square = reference_square(AMPLITUDE[mask], normalization, "both")
    np.testing.assert_allclose(scaled[mask], reference(AMPLITUDE[mask], square, "both"), rtol=1e-5)
    np.testing.assert_array_equal(scaled[~mask], 0.0)
    inferred = to_numpy(layer(AMPLITUDE))
    np.testing.assert_allclose(inferred[mask], scaled[mask], rtol=1e-5)


@with_statistic
def test_fully_masked_batch_changes_nothing(normalization):
    layer = RateNormalization(RATE, normalization)
    layer(AMPLITUDE, training=True)
    before = state(layer)
    scaled = to_numpy(layer(AMPLITUDE, mask=np.zeros(8, "bool"), training=True))
    assert np.isfinite(scaled).all()
    for old, new in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(old, new)


@with_statistic
@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_batch_that_is_not_finite_leaves_the_statistic(normalization, momentum, value, dtype):
    """The mean square and its weight, of all latent dimensions; also if it is the first."""
    layer = RateNormalization(RATE, normalization, momentum=momentum, dtype=dtype)
    broken = AMPLITUDE.copy()
    broken[3, 1] = value
    layer(broken, training=True)
    assert not np.any(np.concatenate([value.ravel() for value in state(layer)]))
    layer(AMPLITUDE, training=True)
    before = state(layer)
    layer(broken, training=True)
    for old, new in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(old, new)
    square = reference_square(AMPLITUDE, normalization, "both")
    expected = reference(AMPLITUDE, square, "both")
    rtol = 1e-5 if dtype == "float32" else 2e-3
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE)), expected, rtol=rtol)


@with_statistic
def test_what_enters_no_mean_square_may_be_nan(normalization):
    """Masked positions, and the part that passes through, do not change."""
    layer = RateNormalization(RATE, normalization, "mean")
    mask = np.arange(8) < 5
    broken = AMPLITUDE.copy()
    broken[6, 1] = broken[2, 3] = np.nan
    layer(broken, mask=mask, training=True)
    square = reference_square(AMPLITUDE[mask], normalization, "mean")
    expected = reference(AMPLITUDE[mask], square, "mean")
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE[mask])), expected, rtol=1e-5)


@with_statistic
@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_a_statistic_of_nan_starts_anew(normalization, momentum):
    """As a file of earlier days may hold it, after a batch with a NaN."""
    layer = RateNormalization(RATE, normalization, momentum=momentum)
    layer(AMPLITUDE, training=True)
    damaged = to_numpy(layer.moving_mean_square).copy()
    damaged.reshape(-1)[-1] = np.nan
    layer.moving_mean_square.assign(damaged)
    for scale in (1.0, 3.0):
        layer(scale * AMPLITUDE, training=True)
    square = reference_square(AMPLITUDE, normalization, "both")
    average = square * np.average([1.0, 9.0], weights=[momentum, 1.0])
    expected = reference(AMPLITUDE, average, "both")
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE)), expected, rtol=1e-5)


@with_statistic
def test_a_step_that_loss_scaling_skips_leaves_the_statistic(normalization):
    """A NaN in a batch of a float16 training ends neither the weights nor the statistic."""
    layer = RateNormalization(RATE, normalization, dtype="mixed_float16")
    dense = keras.layers.Dense(4, dtype="mixed_float16")
    model = keras.Sequential([keras.Input((4,)), dense, layer, keras.layers.Dense(1)])
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), initial_scale=8.0)
    model.compile(optimizer, "mse")
    y = np.zeros((8, 1), "float32")
    broken = AMPLITUDE.copy()
    broken[3, 1] = np.nan
    model.train_on_batch(AMPLITUDE, y)
    before = [to_numpy(weight).copy() for weight in model.trainable_weights] + state(layer)
    model.train_on_batch(broken, y)
    after = [to_numpy(weight) for weight in model.trainable_weights] + state(layer)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    model.train_on_batch(AMPLITUDE, y)
    assert np.isfinite(model.predict(AMPLITUDE, verbose=0)).all()


@with_statistic
@pytest.mark.parametrize("policy", ["float16", "mixed_float16"])
def test_float16_keeps_the_statistic_in_float32(normalization, policy):
    """Its squares, here up to 1e6, are beyond the range of float16."""
    layer = RateNormalization(RATE, normalization, momentum=0.999, dtype=policy)
    large = (300.0 * AMPLITUDE).astype("float16")
    for _ in range(3):
        in_training = to_numpy(layer(large, training=True))
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    np.testing.assert_allclose(to_numpy(layer(large)), in_training, rtol=2e-3)
    square = reference_square(large, normalization, "both")
    np.testing.assert_allclose(in_training, reference(large, square, "both"), rtol=2e-3)


@pytest.mark.parametrize("rate", [1e-3, 2.25, 1e4])
@every_normalization
def test_any_positive_rate(rate, normalization):
    scaled = to_numpy(RateNormalization(rate, normalization)(AMPLITUDE, training=True))
    np.testing.assert_allclose(np.sum(scaled**2, axis=-1).mean(), rate, rtol=1e-5)


def test_fit_reaches_the_rate():
    """Test a compiled `fit` too. A compiled `predict` leaves the statistic unchanged."""
    layer = RateNormalization(RATE)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), layer])
    model.compile("sgd", "mse")
    model.fit(AMPLITUDE, np.zeros((8, 4), "float32"), batch_size=8, verbose=0)
    np.testing.assert_allclose(layer.rate_tracker.result(training=True), RATE, rtol=1e-5)
    before = state(layer)
    assert all(np.all(value > 0.0) for value in before)
    model.predict(AMPLITUDE, verbose=0)
    for old, new in zip(before, state(layer), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "rate", [0, 0.0, -1, float("nan"), float("inf"), "2", True, None, [2.0], 1j]
)
def test_rate_is_a_positive_number(rate):
    with pytest.raises(
        ValueError, match=r"`rate` must be a positive, finite number.*Received: rate"
    ):
        RateNormalization(rate)


@pytest.mark.parametrize("name", ["normalization", "part"])
@pytest.mark.parametrize("value", ["layer", None, "Batch"])
def test_choices(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be one of .*Received: {name}={value!r}"):
        RateNormalization(1.0, **{name: value})


@pytest.mark.parametrize("momentum", [1, 1.0, -0.1, float("nan"), "0.9", None, True])
def test_momentum_is_in_range(momentum):
    with pytest.raises(
        ValueError, match=r"`momentum` must be at least 0 and less than 1.*Received"
    ):
        RateNormalization(1.0, momentum=momentum)


@pytest.mark.parametrize("shape", [(8, 3), (8, None), (8, 0), ()])
def test_build_needs_an_even_last_axis(shape):
    with pytest.raises(
        ValueError, match=r"An amplitude must have the shape \(\.\.\., 2K\).*Received"
    ):
        RateNormalization(1.0).build(shape)


def test_later_calls_need_the_same_last_axis():
    layer = RateNormalization(1.0)
    layer(AMPLITUDE)
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(np.ones((8, 6), "float32"))


def test_mask_of_another_shape():
    with pytest.raises(ValueError, match="shape of the amplitude without its last axis"):
        RateNormalization(1.0)(AMPLITUDE, mask=np.ones((8, 4), "bool"), training=True)


def test_numpy_scalars_are_numbers():
    """A rate read from an array survives a round trip as a plain number."""
    layer = RateNormalization(np.float32(1.5), momentum=np.float64(0.5))
    assert layer.get_config()["rate"] == 1.5
    assert type(layer.get_config()["rate"]) is float
    assert type(layer.get_config()["momentum"]) is float
