"""Rates: fixed, committed and learned rates, and rates for each input."""

import os

import keras
import numpy as np
import pytest
from keras import ops

from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.ops import normalize_rate
from keras_slashed.rates import CommittedRate
from keras_slashed.rates import FixedRate
from keras_slashed.rates import LearnableRate
from tests.support import BACKEND
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import to_numpy
from tests.support import total_loss

RNG = np.random.default_rng(0)
AMPLITUDE = RNG.normal(size=(8, 6)).astype("float32")
RATES = RNG.uniform(0.5, 4.0, size=8).astype("float32")

every_normalization = pytest.mark.parametrize("normalization", ["batch", "instance", "feature"])
every_budget = pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda: FixedRate(2.5), 2.5),
        (lambda: CommittedRate(2.0, initial=0.5), 2.5),
        (lambda: LearnableRate(2.5), 2.5),
        (lambda: LearnableRate(2.5, scale=4.0), 2.5),
    ],
    ids=("fixed", "committed", "learnable", "scaled"),
)
compile_layers = {"jit_compile": BACKEND == "jax"}


def rate_of(amplitude):
    return np.sum(np.square(to_numpy(amplitude), dtype="float64"), axis=-1)


def fit(model, x=AMPLITUDE, **arguments):
    return model.fit(x, np.zeros((8, 1)), batch_size=8, shuffle=False, verbose=0, **arguments)


# --- The budgets alone


@every_budget
def test_value_and_config(make, value):
    rate = make()
    assert float(to_numpy(rate())) == value
    assert rate.variables[0].dtype == "float32"
    # A fixed rate is a hyperparameter: it is no weight at all.
    assert len(rate.weights) == len(rate.trainable_weights) == (not isinstance(rate, FixedRate))
    remade = type(rate).from_config(rate.get_config())
    assert float(to_numpy(remade())) == value
    assert type(rate)(2.5, dtype="float16")().dtype == rate().dtype  # float32 whatever the policy


@pytest.mark.parametrize("number", [0, -1.0, float("nan"), float("inf"), "2", None, True])
def test_rates_are_positive_numbers(number):
    for make in (
        FixedRate,
        LearnableRate,
        CommittedRate,
        lambda initial: CommittedRate(1.0, initial),
    ):
        with pytest.raises(ValueError, match=r"must be a positive, finite number.*Received: "):
            make(number)


@pytest.mark.parametrize(
    "make", [FixedRate, LearnableRate, lambda x, **k: CommittedRate(x, 0.2, **k)]
)
def test_a_rate_in_float64_has_all_its_digits(make):
    """Keras' initializer of constants goes through float32 on TensorFlow."""
    with dtype_enabled("float64"):
        rate = make(1.3, dtype="float64")
        expected = 1.3 + (0.2 if isinstance(rate, CommittedRate) else 0.0)
        np.testing.assert_allclose(to_numpy(rate()), expected, rtol=1e-15)


def test_a_scaled_rate_moves_that_many_times_faster_under_adam():
    layer = FixedRateVIB(LearnableRate(20.0, scale=8.0), kl_weight=1.0)
    model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Lambda(lambda z: 0.0 * z)])
    model.compile(keras.optimizers.Adam(0.1, epsilon=0.0), "mse", **compile_layers)
    model.fit(AMPLITUDE, np.zeros((8, 3)), batch_size=8, epochs=5, verbose=0)
    # The loss is the rate alone, whose gradient has one sign: each step is the learning rate.
    assert float(to_numpy(layer.rate())) == pytest.approx(20.0 - 5 * 0.1 * 8.0, rel=1e-5)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), "2", None])
def test_scale_is_a_positive_number(scale):
    with pytest.raises(ValueError, match=r"`scale` must be .*positive.*Received: scale="):
        LearnableRate(1.0, scale)


def test_the_variable_of_a_scaled_rate_is_finite():
    with pytest.raises(ValueError, match=r"`initial / scale` must be a positive, finite number"):
        LearnableRate(1e30, scale=1e-30)


def test_sign_of_the_parameter_does_not_matter():
    committed, learnable = CommittedRate(2.0), LearnableRate(1.0)
    for rate, expected in ((committed, 5.0), (learnable, 3.0)):
        rate()
        rate.weights[0].assign(-3.0)
        assert float(to_numpy(rate())) == expected


# --- As the rate of a layer


@every_budget
@every_normalization
def test_layer_reaches_the_budget(make, value, normalization):
    layer = RateNormalization(make(), normalization)
    scaled = layer(AMPLITUDE, training=True)
    np.testing.assert_allclose(rate_of(scaled).mean(), value, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(layer(AMPLITUDE)), to_numpy(scaled), rtol=1e-5)
    assert [w.path for w in layer.trainable_weights] == [
        w.path for w in layer.rate.trainable_weights
    ]


@pytest.mark.parametrize("kl_weight", [1.0, 0.25])
def test_kl_of_a_learnable_rate_is_its_parameter(kl_weight):
    """And its slope is the weight: a step of SGD takes just that off."""
    layer = FixedRateVIB(LearnableRate(7.0), kl_weight=kl_weight)
    layer(AMPLITUDE, training=True)
    np.testing.assert_allclose(total_loss(layer), kl_weight * 7.0, rtol=1e-6)
    model = keras.Sequential([keras.Input((6,)), layer])
    model.compile(keras.optimizers.SGD(0.1), **compile_layers)
    model.fit(AMPLITUDE, batch_size=8, epochs=2, verbose=0)
    np.testing.assert_allclose(to_numpy(layer.rate()), 7.0 - 2 * 0.1 * kl_weight, rtol=1e-5)


def test_committed_rate_does_not_fall_below_its_minimum():
    """The KL alone is in the loss: the excess goes to 0, the rate to the minimum."""
    layer = FixedRateVIB(CommittedRate(6.0, initial=0.5), kl_weight=1.0, name="vib")
    model = keras.Sequential([keras.Input((6,)), layer])
    model.compile(keras.optimizers.SGD(0.02), **compile_layers)
    history = model.fit(
        AMPLITUDE, batch_size=8, epochs=40, verbose=0, callbacks=[RateMonitor()]
    ).history["vib_rate"]
    np.testing.assert_allclose(history[0], 6.5, rtol=1e-5)
    assert min(history) >= 6.0 - 1e-5
    assert history[-1] < 6.05


def test_rate_of_zero_has_a_finite_gradient():
    layer = FixedRateVIB(LearnableRate(1.0), kl_weight=1.0)
    model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", **compile_layers)
    layer.rate.value.assign(0.0)
    fit(model)
    assert all(np.isfinite(to_numpy(weight)).all() for weight in model.weights)


def test_fixed_rate_is_a_variable():
    """A new rate without a new layer, in a model that is compiled already."""
    layer = FixedRateVIB(2.0, name="vib")
    model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse", **compile_layers)
    for rate in (2.0, 5.0):
        layer.rate = rate
        history = fit(model, callbacks=[RateMonitor()]).history
        np.testing.assert_allclose(history["vib_rate"], [rate], rtol=1e-5)


@every_budget
def test_saved_and_loaded(make, value, tmp_path):
    model = keras.Sequential([keras.Input((6,)), FixedRateVIB(make(), name="vib")])
    model.get_layer("vib").rate.variables[0].assign(0.75)
    expected = to_numpy(model.get_layer("vib").rate())
    model.save(os.path.join(tmp_path, "model.keras"))
    loaded = keras.saving.load_model(os.path.join(tmp_path, "model.keras")).get_layer("vib")
    assert type(loaded.rate) is type(model.get_layer("vib").rate)
    np.testing.assert_array_equal(to_numpy(loaded.rate()), expected)


def test_summary_counts_the_parameter():
    lines = []
    model = keras.Sequential([keras.Input((6,)), FixedRateVIB(LearnableRate(20.0))])
    model.summary(print_fn=lines.append)
    assert "Trainable params: 1 " in "\n".join(lines)


def model_with_one_budget():
    rate = LearnableRate(3.0)
    inputs = keras.Input((6,))
    amplitude = RateNormalization(rate, "instance")(RateNormalization(rate)(inputs))
    return keras.Model(inputs, amplitude), rate


def test_two_layers_share_a_budget():
    model, _ = model_with_one_budget()
    assert len(model.trainable_weights) == 1


def test_shared_budget_is_saved_and_loaded(tmp_path):
    """In a file it is one object too, and so it is in a copy of the copy."""
    model, rate = model_with_one_budget()
    rate.value.assign(0.5)
    for number in range(2):
        path = os.path.join(tmp_path, f"model_{number}.keras")
        model.save(path)
        model = keras.saving.load_model(path)
        one, other = (layer.rate for layer in model.layers if isinstance(layer, RateNormalization))
        assert one is other
        assert len(model.trainable_weights) == 1
        assert float(to_numpy(one())) == 0.5


def test_layers_of_one_config_do_not_share_a_budget():
    layer = FixedRateVIB(LearnableRate(3.0))
    copies = [FixedRateVIB.from_config(layer.get_config()) for _ in range(2)]
    assert copies[0].rate is not copies[1].rate
    RateNormalization(layer.rate)  # now it is shared
    copies = [FixedRateVIB.from_config(layer.get_config()) for _ in range(2)]
    assert copies[0].rate is not copies[1].rate


# --- A rate for each input


@pytest.mark.parametrize("part", ["both", "mean"])
def test_each_instance_has_its_rate(part):
    scaled = to_numpy(RateNormalization(1.0, "instance", part)(AMPLITUDE, rate=RATES))
    part_of = scaled if part == "both" else scaled[:, :3]
    np.testing.assert_allclose(rate_of(part_of), RATES, rtol=1e-5)


@pytest.mark.parametrize("normalization", ["batch", "feature"])
@pytest.mark.parametrize("masked", [False, True])
def test_rates_as_weights(normalization, masked):
    """Against NumPy: psi_i sqrt(r_i / s), s = sum(r_i |psi_i|^2) / sum(r_i)."""
    mask = np.arange(8) < (5 if masked else 8)
    square = AMPLITUDE[:, :3] ** 2 + AMPLITUDE[:, 3:] ** 2
    weights = (RATES * mask)[:, None]
    if normalization == "batch":
        square = square.sum(axis=1, keepdims=True)
    mean_square = (weights * square).sum(axis=0) / weights.sum()
    rates = RATES[:, None] / (1 if normalization == "batch" else 3)
    scale = np.sqrt(rates / mean_square) * np.ones(3)
    expected = AMPLITUDE * np.concatenate([scale, scale], axis=1) * mask[:, None]
    layer = RateNormalization(1.0, normalization)
    scaled = to_numpy(layer(AMPLITUDE, rate=RATES, mask=mask, training=True))
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)
    np.testing.assert_allclose(rate_of(scaled)[mask].mean(), RATES[mask].mean(), rtol=1e-5)
    inferred = to_numpy(layer(AMPLITUDE, rate=RATES, mask=mask))
    np.testing.assert_allclose(inferred, scaled, rtol=1e-5)


def test_equal_rates_are_one_rate():
    for normalization in ("batch", "instance", "feature"):
        one = normalize_rate(AMPLITUDE, 2.0, normalization)
        many = normalize_rate(AMPLITUDE, np.full(8, 2.0, "float32"), normalization)
        np.testing.assert_allclose(to_numpy(many), to_numpy(one), rtol=1e-5)


@pytest.mark.parametrize("normalization", ["batch", "feature"])
def test_before_any_training_rates_leave_amplitudes_unscaled(normalization):
    scaled = to_numpy(RateNormalization(1.0, normalization)(AMPLITUDE, rate=RATES))
    np.testing.assert_allclose(scaled, AMPLITUDE, rtol=1e-6)


@every_normalization
def test_gradient_reaches_the_rates(normalization):
    """For "instance" the slope of |psi|^2 is 1; the mean of a batch's is the mean's."""
    layer = RateNormalization(1.0, normalization)

    def total_rate(rates):
        return ops.sum(ops.square(layer(AMPLITUDE, rate=rates, training=True)))

    slope = to_numpy(gradient(total_rate, RATES))
    np.testing.assert_allclose(slope, np.ones(8), rtol=1e-4)


def test_rates_from_another_layer(tmp_path):
    """A functional model whose encoder decides how much each input may carry."""
    inputs = keras.Input((6,))
    rate = keras.layers.Dense(1, activation="softplus", name="budget")(inputs)
    rate = keras.layers.Reshape(())(rate)
    z = FixedRateVIB(1.0, "instance", kl_weight=0.5)(inputs, rate=rate)
    model = keras.Model(inputs, keras.layers.Dense(1)(z))
    model.compile("sgd", "mse", **compile_layers)
    before = to_numpy(model.get_layer("budget").kernel).copy()
    fit(model)
    assert np.any(to_numpy(model.get_layer("budget").kernel) != before)
    model.save(os.path.join(tmp_path, "model.keras"))
    loaded = keras.saving.load_model(os.path.join(tmp_path, "model.keras"))
    np.testing.assert_allclose(to_numpy(loaded(AMPLITUDE)), to_numpy(model(AMPLITUDE)), rtol=1e-5)


def test_masks_of_amplitudes_with_rates():
    """Keras passes an automatic mask on under another name where two tensors come."""
    x = np.concatenate([AMPLITUDE[:, None], np.zeros((8, 1, 6), "float32")], axis=1)
    masked = keras.layers.Masking()(x)
    layer = FixedRateVIB(1.0, kl_weight=1.0)
    rates = np.stack([RATES, RATES], axis=1)
    layer(masked, rates, training=True)
    np.testing.assert_allclose(total_loss(layer), RATES.mean(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (8, 1), (1,)])
def test_rates_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"`rate` must be a scalar, or have .*\(8,\).*Received"):
        RateNormalization(1.0)(AMPLITUDE, rate=np.ones(shape, "float32"))


# --- BatchNorm-VAE (Zhu et al. 2020): "feature" with part="mean"


def test_feature_normalization_of_means_is_batch_normalization():
    """For centred means, with the scale gamma = sqrt(2 rate / K)."""
    centred = AMPLITUDE - AMPLITUDE.mean(axis=0)
    gamma = np.sqrt(2.0 * 1.5 / 3)
    batch_norm = keras.layers.BatchNormalization(
        epsilon=0.0, center=False, gamma_initializer=keras.initializers.Constant(gamma)
    )
    expected = to_numpy(batch_norm(centred[:, :3], training=True))
    scaled = to_numpy(RateNormalization(1.5, "feature", "mean")(centred, training=True))
    np.testing.assert_allclose(np.sqrt(2.0) * scaled[:, :3], expected, rtol=1e-4)
    np.testing.assert_array_equal(scaled[:, 3:], centred[:, 3:])


def test_batch_normalized_means_have_the_rate_already():
    """With a shift: E[mean^2] = gamma^2 + beta^2, and normalizing to it changes nothing."""
    gamma, beta = 0.8, 0.5
    batch_norm = keras.layers.BatchNormalization(
        epsilon=0.0,
        gamma_initializer=keras.initializers.Constant(gamma),
        beta_initializer=keras.initializers.Constant(beta),
    )
    means = to_numpy(batch_norm(3.0 + AMPLITUDE[:, :3], training=True))
    amplitude = np.concatenate([means / np.sqrt(2.0), AMPLITUDE[:, 3:]], axis=1)
    rate = 3 * (gamma**2 + beta**2) / 2
    scaled = RateNormalization(rate, "feature", "mean")(amplitude, training=True)
    np.testing.assert_allclose(to_numpy(scaled), amplitude, rtol=1e-4)


# --- what trains


def test_what_trains_has_its_name():
    committed, learnable = CommittedRate(6.0, initial=0.5), LearnableRate(3.0)
    assert to_numpy(committed()) == pytest.approx(6.5)
    assert to_numpy(learnable()) == pytest.approx(3.0)
    assert to_numpy(committed.excess) == pytest.approx(0.5)
    assert to_numpy(learnable.value) == pytest.approx(3.0)
    assert [committed.excess.name, learnable.value.name] == ["excess", "value"]
    assert committed.trainable_variables == [committed.excess]


@pytest.mark.parametrize("make", [FixedRate, LearnableRate])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_policy_does_not_round_a_rate(make, policy):
    rate = make(2.3, dtype=policy)()
    assert keras.backend.standardize_dtype(rate.dtype) == "float32"
    assert float(to_numpy(rate)) == np.float32(2.3)
