"""FixedRateVIB: a normalization and a sampling in one layer."""

import collections
import sys

import keras
import numpy as np
import pytest

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.rates import CommittedRate
from tests.support import float64_enabled
from tests.support import gradient
from tests.support import random_amplitude
from tests.support import to_numpy
from tests.support import total_loss

AMPLITUDE = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
MASK = np.arange(8) < 5


@pytest.mark.parametrize(
    "normalization",
    [
        {},
        {"normalization": "instance"},
        {"normalization": "feature", "momentum": 0.5},
        {"part": "mean"},
    ],
)
@pytest.mark.parametrize(
    "sampling",
    [{}, {"inference": "sample"}, {"num_samples": 3, "kl_weight": 0.5}],
)
@pytest.mark.parametrize("mask", [None, MASK])
def test_equals_its_two_parts(normalization, sampling, mask):
    """Outputs, losses and statistics, in training and afterwards at inference."""
    vib = FixedRateVIB(2.3, seed=1, **normalization, **sampling)
    scale = RateNormalization(2.3, **normalization)
    draw = SlashedNormalSampling(seed=1, **{"kl_weight": 0.0, "inference": "mean", **sampling})
    for training in (True, True, False):
        z = vib(AMPLITUDE, mask=mask, training=training)
        scaled = scale(AMPLITUDE, mask=mask, training=training)
        expected = draw(scaled, mask=mask, training=training)
        np.testing.assert_allclose(to_numpy(z), to_numpy(expected), rtol=1e-6)
        np.testing.assert_allclose(total_loss(vib), total_loss(draw), rtol=1e-6)
    assert len(vib.losses) == 1
    # The mean rates are those of the sampling alone.
    for one, other in zip(vib.weights, scale.weights[:-1] + draw.weights, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-6)


@pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
def test_rate_reached_in_training(normalization):
    """Whatever the scale of the amplitude; the loss at weight 1 is the rate."""
    layer = FixedRateVIB(2.3, normalization, kl_weight=1.0)
    layer(7.0 * AMPLITUDE, training=True)
    np.testing.assert_allclose(total_loss(layer), 2.3, rtol=1e-6)
    np.testing.assert_allclose(layer.rate_tracker.result(training=True), 2.3, rtol=1e-6)


def test_kl_weight():
    """No loss by default; a weight assigned later counts."""
    layer = FixedRateVIB(2.3)
    layer(AMPLITUDE, training=True)
    assert total_loss(layer) == 0.0
    assert layer.kl_weight is layer.sampling.kl_weight
    layer.kl_weight.assign(0.5)
    layer(AMPLITUDE, training=True)
    np.testing.assert_allclose(total_loss(layer), 1.15, rtol=1e-6)


def test_gradient_of_the_loss():
    """With part="mean" the rate is that of the real parts and what b adds to it."""

    def loss(amplitude):
        layer = FixedRateVIB(2.3, part="mean", kl_weight=0.5)
        layer(amplitude, training=True)
        return layer.losses[0]

    expected = np.concatenate([np.zeros((8, 2)), 2.0 * 0.5 * AMPLITUDE[:, 2:] / 8], axis=-1)
    np.testing.assert_allclose(to_numpy(gradient(loss, AMPLITUDE)), expected, rtol=1e-5, atol=1e-6)


def test_properties():
    layer = FixedRateVIB(np.float32(1.5), kl_weight=0.25)
    assert float(to_numpy(layer.rate())) == 1.5
    assert not layer.built
    layer.build((None, 4))
    assert float(to_numpy(layer.kl_weight)) == 0.25
    assert layer.get_config()["kl_weight"] == 0.25
    assert layer.rate_normalization.built
    assert layer.sampling.built


def test_inference_is_the_mean_by_default():
    """Like Dropout, it is deterministic at inference and does not change the seed's state."""
    layer = FixedRateVIB(2.3)
    layer(AMPLITUDE, training=True)
    first, second = (to_numpy(layer(AMPLITUDE)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    scaled = to_numpy(layer.rate_normalization(AMPLITUDE))
    np.testing.assert_allclose(first, np.sqrt(2.0) * scaled[:, :2], rtol=1e-6)
    drawn = FixedRateVIB(2.3, inference="sample")
    assert np.all(to_numpy(drawn(AMPLITUDE)) != to_numpy(drawn(AMPLITUDE)))


def calls_of_the_library(function):
    """Return how often `function()` calls each function of the library, by name."""
    calls = collections.Counter()

    def count(frame, event, _):
        if event == "call" and frame.f_globals.get("__name__", "").startswith("keras_slashed."):
            calls[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mask", [None, MASK])
def test_one_eager_call_widens_once_and_checks_once(dtype, normalization, training, mask):
    """From the normalization to the sampling the amplitude is what it is."""
    layer = FixedRateVIB(2.3, normalization, inference="sample", kl_weight=0.5, dtype=dtype)
    layer(AMPLITUDE)
    calls = calls_of_the_library(lambda: layer(AMPLITUDE, mask=mask, training=training))
    for name in ("to_float_tensor", "widen_amplitude", "check_amplitude_shape", "cast_in_range"):
        assert calls[name] == 1, name
    assert calls["check_mask_shape"] == (mask is not None)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
def test_nothing_is_rounded_between_the_parts(dtype, normalization):
    """The rate paid and counted is the one that was set, to the rounding of float32."""
    layer = FixedRateVIB(2.3, normalization, kl_weight=1.0, dtype=dtype)
    layer(AMPLITUDE, training=True)
    np.testing.assert_allclose(total_loss(layer), 2.3, rtol=1e-6)
    np.testing.assert_allclose(layer.rate_tracker.result(training=True), 2.3, rtol=1e-6)


def test_one_mean_of_rates():
    """As one weight, in both parts' places of a file, as in files of earlier versions."""
    layer = FixedRateVIB(2.3)
    layer(AMPLITUDE, training=True)
    (means,) = (weight for weight in layer.weights if "mean_rates" in weight.path)
    assert (
        layer.rate_tracker is layer.sampling.rate_tracker is layer.rate_normalization.rate_tracker
    )
    np.testing.assert_allclose(to_numpy(means)[0], [2.3, 8.0], rtol=1e-6)
    for part in (layer.rate_normalization, layer.sampling):
        store = {}
        part.save_own_variables(store)
        assert sum(value is means for value in store.values()) == 1


def test_mixed_precision_of_its_parts():
    layer = FixedRateVIB(2.3, dtype="mixed_bfloat16")
    for part in (layer.rate_normalization, layer.sampling):
        assert part.compute_dtype == "bfloat16"
        assert part.variable_dtype == "float32"


def test_fit_learns():
    """One latent dimension must find the one direction of eight that counts."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(256, 8)).astype("float32")
    y = (x @ generator.normal(size=(8, 1)) > 0.0).astype("float32")
    bottleneck = FixedRateVIB(4.0, seed=1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(2),
            bottleneck,
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    _, before = model.evaluate(x, y, verbose=0)
    history = model.fit(x, y, batch_size=32, epochs=10, verbose=0).history
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert before < 0.8
    assert accuracy > 0.95
    assert loss < history["loss"][0]
    # The rate held all along, while the encoder's own scale went where it would.
    reached = bottleneck.rate_tracker.result(training=True)
    np.testing.assert_allclose(reached, 4.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0.0),
        ("rate", "2"),
        ("normalization", "layer"),
        ("part", "imaginary"),
        ("momentum", 1.0),
        ("num_samples", 0),
        ("inference", "median"),
        ("kl_weight", -1.0),
    ],
)
def test_arguments_are_checked(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must .*Received: {name}={value!r}"):
        FixedRateVIB(**{"rate": 1.0, name: value})


def test_build_needs_an_even_last_axis():
    with pytest.raises(ValueError, match=r"An amplitude must have the shape \(\.\.\., 2K\)"):
        FixedRateVIB(1.0)(np.ones((8, 3), "float32"))


@pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
@pytest.mark.parametrize("policy", ["float32", "float16", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("rate", [2.3, np.float32(2.3), "each", "each, float64"])
def test_a_given_rate_is_not_rounded(rate, policy, normalization):
    """Keras would cast a tensor to the compute dtype, of which 2.3 is 2.296875 in bfloat16."""
    if isinstance(rate, str):
        rate = np.full(8, 2.3, "float64" if "float64" in rate else "float32")
    layer = FixedRateVIB(1.0, normalization, kl_weight=1.0, dtype=policy)
    z = layer(random_amplitude((8, 6)), rate=rate, training=True)
    assert keras.backend.standardize_dtype(z.dtype) == layer.compute_dtype
    np.testing.assert_allclose(total_loss(layer), 2.3, rtol=2e-6)


def test_a_given_rate_beyond_float16():
    layer = FixedRateVIB(1.0, "instance", kl_weight=1.0, dtype="mixed_float16")
    layer(random_amplitude((8, 6)), rate=np.full(8, 1e5, "float32"), training=True)
    np.testing.assert_allclose(total_loss(layer), 1e5, rtol=2e-6)


def test_a_given_number_in_float64():
    """It has all its digits, which a tensor in the default dtype would not have."""
    with float64_enabled():
        layer = RateNormalization(1.0, "instance", dtype="float64")
        scaled = to_numpy(layer(random_amplitude((8, 6), "float64"), rate=2.3))
    np.testing.assert_allclose(np.square(scaled).sum(-1), 2.3, rtol=1e-14)


@pytest.mark.parametrize("make_layer", [FixedRateVIB, RateNormalization])
@pytest.mark.parametrize(
    "rate",
    [
        *(-1.0, float("nan"), float("inf"), True, np.float32(-1.0), np.float64("nan")),
        *(np.array(-1.0), "2"),
    ],
    ids=repr,
)
def test_a_given_number_out_of_range(rate, make_layer):
    layer, amplitude = make_layer(2.0), random_amplitude((8, 6))
    with pytest.raises(ValueError, match=r"`rate` must be a finite number of nats, 0 or more"):
        layer(amplitude, rate=rate)
    with pytest.raises(ValueError, match=r"`rate` must be a finite number of nats, 0 or more"):
        layer(amplitude, rate)


@pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
def test_a_tensor_of_rates_that_are_no_numbers(normalization):
    """A NaN among the rates shows, instead of making the latent the prior."""
    rates = keras.ops.convert_to_tensor(np.float32(7 * [1.0] + [np.nan]))
    layer = RateNormalization(2.0, normalization)
    scaled = to_numpy(layer(random_amplitude((8, 6)), rates, training=True))
    assert np.isnan(scaled[-1]).all()


def test_a_new_dtype_policy():
    layer = FixedRateVIB(2.0)
    layer.dtype_policy = "mixed_bfloat16"
    z = layer(random_amplitude((8, 6)), training=True)
    assert keras.backend.standardize_dtype(z.dtype) == layer.compute_dtype == "bfloat16"


def test_its_normalization_may_be_called_first(tmp_path):
    """As an encoder is, whose model is made before that of the whole."""
    x = keras.random.normal((8, 6), seed=0)
    files = []
    for first in ("rate_normalization", "sampling", None):
        layer = FixedRateVIB(2.0)
        if first is not None:
            getattr(layer, first)(x)
        inputs = keras.Input((6,))
        model = keras.Model(inputs, layer(inputs))
        model(x, training=True)
        model.save_weights(tmp_path / f"{first}.weights.h5")
        files.append(tmp_path / f"{first}.weights.h5")
    for file in files:
        model.load_weights(file)


def test_a_frozen_layer_freezes_the_rate_that_it_gets():
    rate = CommittedRate(1.0)
    layer = FixedRateVIB(rate, "instance", kl_weight=1.0, trainable=False)
    model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(1)])
    assert not rate.trainable_variables
    assert len(model.trainable_variables) == 2  # of the last layer


@pytest.mark.parametrize("make", [lambda: keras.layers.Dense(1), lambda: FixedRateVIB(1.0)])
def test_a_rate_that_is_another_layer(make):
    with pytest.raises(ValueError, match="must be a number of nats or a layer of"):
        FixedRateVIB(make())


def test_one_bad_row_does_not_stay_in_the_mean_rate():
    layer = FixedRateVIB(2.0, "instance")
    x = np.ones((4, 6), "float32")
    x[1] = np.nan
    layer(x, training=True)
    layer(np.ones((4, 6), "float32"), training=True)
    assert layer.rate_tracker.result(training=True) == pytest.approx(2.0, rel=1e-6)
    assert all(np.isfinite(weight).all() for weight in layer.get_weights())


def test_later_calls_need_the_same_last_axis():
    layer = FixedRateVIB(2.0, "instance")
    layer(np.ones((8, 6), "float32"))
    for shape in ((8, 8), (6,)):
        with pytest.raises(ValueError, match="incompatible with the layer"):
            layer(np.ones(shape, "float32"))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_large_amplitude_at_inference(dtype):
    """The scale from a small mean square would make a finite amplitude's rate infinite."""
    layer = FixedRateVIB(2.0, kl_weight=1.0, inference="sample", dtype=dtype)
    layer(np.full((8, 6), 1e-8, "float32"), training=True)
    z = layer(np.full((8, 6), 1e15, "float32"))
    assert np.isfinite(to_numpy(z).astype("float64")).all()
    assert np.isfinite(to_numpy(layer.losses[0]))
