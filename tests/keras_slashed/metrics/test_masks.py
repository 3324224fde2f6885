"""Measures of amplitudes with a mask of Keras, against those of the positions that it keeps."""

import keras
import numpy as np
import pytest
from keras.src.backend import get_keras_mask
from keras.src.backend import set_keras_mask

from keras_slashed import metrics
from keras_slashed.calibration import calibrate
from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.layers import RateNormalization
from tests.keras_slashed.metrics.linear_gaussian import LinearGaussian
from tests.keras_slashed.metrics.linear_gaussian import amplitude_of
from tests.support import compiled

RNG = np.random.default_rng(0)
MASK = RNG.random((20, 5)) < 0.6
MASK[3] = False
AMPLITUDES = RNG.normal(size=(20, 5, 6)).astype("float32")
X = {"amplitude": np.where(MASK[..., None], AMPLITUDES, np.nan), "mask": MASK}
KEPT = AMPLITUDES[MASK]
MODEL = LinearGaussian()


def encoder(x):
    amplitude = keras.ops.convert_to_tensor(x["amplitude"], dtype="float32")
    set_keras_mask(amplitude, keras.ops.convert_to_tensor(x["mask"]))
    return amplitude


def same(x):
    return x


@pytest.mark.parametrize(
    "distribution",
    [same, lambda x: SlashedNormal(x, [1.0, 2.0, 3.0], 0.5)],
    ids=("amplitude", "distribution"),
)
def test_functions(distribution):
    """Over batches of which some have no instance at all."""

    def masked(x):
        return distribution(encoder(x))

    rate = metrics.rate(masked, X, batch_size=2)
    np.testing.assert_allclose(rate, metrics.rate(distribution, KEPT), rtol=1e-6)
    variances = metrics.unit_variances(masked, X, batch_size=2)
    np.testing.assert_allclose(variances, metrics.unit_variances(distribution, KEPT), rtol=1e-5)
    assert metrics.active_units(masked, X) == 3
    computed = metrics.mutual_information(masked, X, seed=0)
    expected = metrics.mutual_information(distribution, KEPT, seed=0)
    np.testing.assert_allclose(computed, expected, rtol=1e-4)
    assert computed.cap == np.log(MASK.sum())


def test_layers_of_keras():
    """Half of each sequence is padding. The rate is the one that the layer was told."""
    x = np.random.default_rng(1).normal(size=(64, 6, 3)).astype("float32")
    x[:, 3:] = 0.0
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Masking(),
            keras.layers.Dense(4),
            RateNormalization(2.0),
        ]
    )
    calibrate(model, x)
    np.testing.assert_allclose(metrics.rate(model, x), 2.0, rtol=1e-5)
    assert metrics.mutual_information(model, x).cap == np.log(192)
    metric = metrics.Rate()
    metric.update_state(model(x))
    np.testing.assert_allclose(float(metric.result()), 2.0, rtol=1e-5)


METRICS = {
    "rate": lambda: metrics.Rate(),
    "active_units": lambda: metrics.ActiveUnits(threshold=1.9),
    "mutual_information": lambda: metrics.MutualInformation(capacity=100, seed=0),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("distribution", [same, SlashedNormal])
@pytest.mark.every_case
def test_metrics(name, distribution):
    """As with an explicit mask. A weight of each row does not make padding count."""
    rows = np.arange(20) % 3 > 0
    for weights in (None, rows, MASK):
        masked, explicit = METRICS[name](), METRICS[name]()
        both = MASK if weights is None else MASK & weights.reshape(20, -1)
        for start in (0, 10):
            batch = slice(start, start + 10)
            x = {key: value[batch] for key, value in X.items()}
            given = () if weights is None else (weights[batch],)
            masked.update_state(distribution(encoder(x)), *given)
            explicit.update_state(distribution(x["amplitude"]), both[batch])
        np.testing.assert_allclose(float(masked.result()), float(explicit.result()), rtol=1e-5)


def test_metric_in_a_compiled_function():
    metric = metrics.Rate()
    update = compiled(lambda state, x: metric.stateless_update_state(state, encoder(x)))
    state = update([variable.value for variable in metric.variables], X)
    rate = float(metric.stateless_result(state))
    np.testing.assert_allclose(rate, np.sum(KEPT**2, axis=-1).mean(), rtol=1e-5)


def test_metric_of_log_weights():
    log_weights = keras.ops.convert_to_tensor(X["amplitude"])
    set_keras_mask(log_weights, keras.ops.convert_to_tensor(MASK))
    masked, explicit = metrics.ImportanceWeightedNLL(), metrics.ImportanceWeightedNLL()
    masked.update_state(log_weights)
    explicit.update_state(KEPT)
    np.testing.assert_allclose(float(masked.result()), float(explicit.result()), rtol=1e-5)


def sequences():
    """Return sequences of independent data, NaN where there are none."""
    x = MODEL.sample(100).reshape(20, 5, -1).astype("float32")
    return x, {"x": np.where(MASK[..., None], x, np.nan), "mask": MASK}


def exact(x):
    mean = MODEL.posterior_mean(keras.ops.reshape(x["x"], (-1, x["x"].shape[-1])))
    amplitude = amplitude_of(mean, MODEL.stddev)
    return encoder(
        {
            "amplitude": keras.ops.reshape(amplitude, (-1, 5, amplitude.shape[-1])),
            "mask": x["mask"],
        }
    )


@pytest.mark.parametrize("rotated", [False, True])
def test_nll(rotated):
    """The parts of a latent that count have their evidence, and a row without one has none."""
    values, x = sequences()

    def posterior(x):
        return MultivariateSlashedNormal(exact(x), np.eye(3, dtype="float32"))

    def log_likelihood(x, z):
        mask = get_keras_mask(z)  # a decoder that supports masks sees the padding
        flat = [keras.ops.reshape(part, (-1, part.shape[-1])) for part in (x["x"], z)]
        each = keras.ops.reshape(MODEL.log_likelihood(*flat), (-1, 5))
        return keras.ops.sum(keras.ops.where(mask, each, 0.0), axis=-1)

    computed = metrics.importance_weighted_nll(
        posterior if rotated else exact, log_likelihood, x, 5, 8, 2, 0, return_values=True
    )
    each = MODEL.nll(values.reshape(100, -1)).reshape(20, 5)
    expected = np.where(MASK.any(axis=1), np.sum(each * MASK, axis=1), np.nan)
    np.testing.assert_allclose(computed.values, expected, atol=1e-4)
    np.testing.assert_allclose(computed.estimate, np.nanmean(expected), atol=1e-4)
    error = np.nanstd(expected, ddof=1) / 19**0.5
    np.testing.assert_allclose(computed.standard_error, error, rtol=1e-4)


def test_nll_draws_padding_from_the_prior():
    """A decoder that looks at padding sees a draw of the prior, whatever the amplitude is."""
    amplitude = np.zeros((3000, 2, 2))
    amplitude[:, 1] = 7.0
    computed = metrics.importance_weighted_nll(
        lambda x: SlashedNormal(encoder(x), 3.0, 0.5),
        lambda x, z: -z[:, 1, 0],
        {"amplitude": amplitude, "mask": np.tile([True, False], (3000, 1))},
        num_samples=1,
        batch_size=3000,
        seed=0,
        return_values=True,
    )
    assert abs(computed.estimate - 3.0) < 0.05
    np.testing.assert_allclose(computed.values.std(), 0.5, rtol=0.05)


def test_nll_with_a_mask_of_rows():
    """A decoder without support for masks gets none, of which Keras would warn."""
    z = keras.Input((3,))
    decoder = keras.Model(z, keras.ops.sum(z, axis=-1))
    x = {"amplitude": AMPLITUDES[:, 0], "mask": MASK.any(axis=1)}

    def nll(encoder):
        return metrics.importance_weighted_nll(
            encoder, lambda x, z: decoder(z), x, num_samples=4, seed=0, return_values=True
        ).values

    expected = np.where(x["mask"], nll(lambda x: x["amplitude"]), np.nan)
    np.testing.assert_allclose(nll(encoder), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "measure", [metrics.mutual_information_gap, metrics.factor_vae_score, metrics.dci]
)
def test_disentanglement_refuses_masked_rows(measure):
    factors = RNG.integers(3, size=(20, 2))
    x = {"amplitude": AMPLITUDES[:, 0], "mask": np.arange(20) != 4}
    with pytest.raises(ValueError, match="excludes 1 rows, of which the first is 4"):
        measure(encoder, x, factors)
    x["mask"] = np.ones(20, "bool")
    computed = metrics.mutual_information_gap(encoder, x, factors, seed=0)
    expected = metrics.mutual_information_gap(same, AMPLITUDES[:, 0], factors, seed=0)
    assert computed.estimate == expected.estimate


@pytest.mark.parametrize(
    "measure",
    [
        metrics.rate,
        metrics.unit_variances,
        metrics.mutual_information,
        lambda encoder, x: metrics.importance_weighted_nll(
            encoder, lambda x, z: z[:, 0, 0], x, num_samples=2
        ),
    ],
)
def test_no_instance_counts(measure):
    with pytest.raises(ValueError, match="At least one instance of `x` must count"):
        measure(encoder, X | {"mask": MASK & False})


def test_mask_that_does_not_fit():
    x = {"amplitude": AMPLITUDES[:, 0], "mask": MASK}
    with pytest.raises(ValueError, match=r"keeps with a tensor must have the shape \(\d+,\)"):
        metrics.rate(encoder, x)
    with pytest.raises(ValueError, match=r"\(20,\) of the instances.*Received: shape \(20, 5\)"):
        metrics.Rate().update_state(encoder(x))
