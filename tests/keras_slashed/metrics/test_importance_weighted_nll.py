"""importance_weighted_nll and its metric, against a linear-Gaussian model's evidence."""

import keras
import numpy as np
import pytest
import scipy.special

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.metrics import ImportanceWeightedNLL
from keras_slashed.metrics import importance_weighted_nll
from tests.keras_slashed.metrics.linear_gaussian import LinearGaussian
from tests.keras_slashed.metrics.linear_gaussian import amplitude_of
from tests.keras_slashed.metrics.linear_gaussian import imaginary_part
from tests.support import BACKEND
from tests.support import to_numpy

MODEL = LinearGaussian()
X = MODEL.sample(50).astype("float32")


def constant(x):
    return keras.ops.array(x, dtype="float32")


def exact(x):
    return amplitude_of(MODEL.posterior_mean(x), MODEL.stddev)


def wrong(x):
    """Means halfway to the prior's, and deviations that are 1.3 times too large."""
    return amplitude_of(0.5 * MODEL.posterior_mean(x), 1.3 * MODEL.stddev)


def test_true_posterior_gives_the_evidence():
    """Without variance: each instance's estimate is its evidence, with any number of draws."""
    nll = importance_weighted_nll(
        exact, MODEL.log_likelihood, X, 7, chunk_size=3, return_values=True
    )
    expected = MODEL.nll(X)
    np.testing.assert_allclose(nll.values, expected, atol=1e-5)
    np.testing.assert_allclose(nll.estimate, expected.mean(), atol=1e-5)
    np.testing.assert_allclose(nll.standard_error, expected.std(ddof=1) / len(X) ** 0.5, rtol=1e-4)


def test_full_covariance():
    model = LinearGaussian(orthogonal=False)
    x = model.sample(20).astype("float32")
    variances, rotation = np.linalg.eigh(model.covariance)

    def encoder(x):
        amplitude = amplitude_of(model.posterior_mean(x), np.sqrt(variances))
        return MultivariateSlashedNormal(amplitude, constant(rotation))

    nll = importance_weighted_nll(encoder, model.log_likelihood, x, 3, return_values=True)
    np.testing.assert_allclose(nll.values, model.nll(x), atol=2e-5)


def test_prior_of_its_own():
    """Z = mu0 + S0 y with y as the model's latent: the evidence is the same."""
    prior_mean, prior_stddev = constant([1.0, -2.0, 0.5]), constant([0.5, 2.0, 3.0])

    def encoder(x):
        return SlashedNormal(exact(x), prior_mean, prior_stddev)

    def log_likelihood(x, z):
        return MODEL.log_likelihood(x, (z - prior_mean) / prior_stddev)

    nll = importance_weighted_nll(encoder, log_likelihood, X, 3, return_values=True)
    np.testing.assert_allclose(nll.values, MODEL.nll(X), atol=2e-5)


def test_falls_to_the_evidence():
    """The estimate decreases from the negative ELBO, known in closed form, with more draws."""
    x = MODEL.sample(200).astype("float32")
    expected = MODEL.nll(x)
    means, errors = [], []
    for num_samples in (1, 16, 256):
        nll = importance_weighted_nll(
            wrong, MODEL.log_likelihood, x, num_samples, 200, 64, seed=1, return_values=True
        )
        gaps = nll.values - expected
        means.append(gaps.mean())
        errors.append(gaps.std(ddof=1) / len(x) ** 0.5)
    elbo_gap = MODEL.divergence(x, 0.5 * x @ MODEL.to_mean.T, 1.3 * MODEL.stddev).mean()
    assert abs(means[0] - elbo_gap) < 4 * errors[0]
    assert elbo_gap > 20 * errors[-1]  # else the next lines say nothing
    for earlier, later, error in zip(means, means[1:], errors):
        assert later < earlier + 2 * error
    assert abs(means[-1]) < 4 * errors[-1] + 0.01


def test_sizes_do_not_matter():
    """The draws of an instance depend on the seed and its place alone."""
    values = [
        importance_weighted_nll(wrong, MODEL.log_likelihood, X, 12, batch, chunk, seed, True).values
        for batch, chunk, seed in ((50, 12, 3), (32, 5, 3), (32, 5, 4))
    ]
    np.testing.assert_allclose(values[1], values[0], atol=1e-5)
    assert np.abs(values[2] - values[0]).max() > 0.1


@pytest.mark.parametrize(("count", "num_samples"), [(9, 4), (20, 60)])
def test_memory_is_that_of_a_chunk(count, num_samples):
    """One shape, whatever the data and the number of draws: so one compilation as well."""
    shapes = []

    def log_likelihood(x, z):
        shapes.append((tuple(x.shape), tuple(z.shape)))
        return MODEL.log_likelihood(x, z)

    importance_weighted_nll(
        exact, log_likelihood, X[:count], num_samples, batch_size=8, chunk_size=4
    )
    assert set(shapes) == {((32, 5), (32, 3))}
    assert BACKEND == "torch" or len(shapes) == 1


def test_nested_data():
    """A dict reaches encoder and likelihood unchanged, with each row matched to its own draws."""
    data = {"halves": (X[:, :2], X[:, 2:]), "index": np.arange(len(X))}

    def joined(data):
        assert "int" in keras.backend.standardize_dtype(data["index"].dtype)
        return keras.ops.concatenate(data["halves"], axis=-1)

    def log_likelihood(data, z):
        return MODEL.log_likelihood(joined(data), z)

    nll = importance_weighted_nll(
        lambda data: exact(joined(data)), log_likelihood, data, 3, 8, return_values=True
    )
    np.testing.assert_allclose(nll.values, MODEL.nll(X), atol=1e-5)


def test_latent_of_several_parts():
    """Amplitudes (n, T, 2K) are one latent of T vectors: z has the shape (rows, T, K)."""

    def encoder(x):
        mean = keras.ops.expand_dims(MODEL.posterior_mean(x), -1)
        return amplitude_of(mean, MODEL.stddev[:, None])

    def log_likelihood(x, z):
        assert tuple(z.shape[1:]) == (3, 1)
        return MODEL.log_likelihood(x, z[..., 0])

    nll = importance_weighted_nll(encoder, log_likelihood, X, 4, return_values=True)
    np.testing.assert_allclose(nll.values, MODEL.nll(X), atol=1e-5)


class Decoder(keras.Model):
    """A model that is used by its method alone, so that Keras never builds it."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(5)
        self.dense.build((None, 3))
        self.dense.set_weights([MODEL.matrix.T, np.zeros(5)])
        self.calls = 0

    def log_likelihood(self, x, z):
        self.calls += 1
        residual = (x - self.dense(z)) / MODEL.sigma
        constant = 5 * np.log(2 * np.pi * MODEL.sigma**2)
        return -0.5 * (keras.ops.sum(residual * residual, axis=-1) + constant)


def test_keras_models():
    """Their weights stay, and nothing runs uncompiled; dropout is off."""
    dense = keras.layers.Dense(6)
    encoder = keras.Sequential([keras.Input((5,)), dense, keras.layers.Dropout(0.5)])
    kernel = np.concatenate([MODEL.to_mean.T / 2**0.5, np.zeros((5, 3))], axis=1)
    dense.set_weights([kernel, np.concatenate([np.zeros(3), imaginary_part(MODEL.stddev)])])
    decoder = Decoder()
    before = encoder.get_weights() + decoder.dense.get_weights()
    nll = importance_weighted_nll(encoder, decoder.log_likelihood, X, 6, 8, 2, return_values=True)
    np.testing.assert_allclose(nll.values, MODEL.nll(X), atol=1e-5)
    assert BACKEND == "torch" or decoder.calls == 1
    for one, other in zip(encoder.get_weights() + decoder.dense.get_weights(), before):
        np.testing.assert_array_equal(one, other)


def test_narrow_amplitudes():
    """Everything after the amplitude is in float32: the estimate is that of its rounded self."""
    narrow = importance_weighted_nll(
        lambda x: keras.ops.cast(wrong(x), "float16"), MODEL.log_likelihood, X, 5, seed=0
    )
    rounded = importance_weighted_nll(
        lambda x: keras.ops.cast(keras.ops.cast(wrong(x), "float16"), "float32"),
        MODEL.log_likelihood,
        X,
        5,
        seed=0,
    )
    np.testing.assert_allclose(narrow.estimate, rounded.estimate, rtol=1e-6)


def test_impossible_instance():
    """Of the first of two batches, that no draw explains."""

    def log_likelihood(x, z):
        return keras.ops.where(x[:, 0] < 0.0, -np.inf, MODEL.log_likelihood(x, z))

    x = np.abs(X[:4])
    x[1, 0] = -1.0
    nll = importance_weighted_nll(exact, log_likelihood, x, 5, 2, return_values=True)
    np.testing.assert_array_equal(np.isinf(nll.values), [False, True, False, False])
    assert nll.estimate == np.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "`num_samples` must be a positive integer.*num_samples=0"),
        ({"chunk_size": 1.5}, "`chunk_size` must be a positive integer.*chunk_size=1.5"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer.*batch_size=0"),
        ({"seed": 0.5}, "`seed` must be None or an integer.*0.5"),
        (
            {"log_likelihood": lambda x, z: z},
            r"one number for each row of z, of shape \(30, 3\).*\(30, 3\)",
        ),
        ({"encoder": lambda x: x}, r"amplitude must have the shape \(..., 2K\).*5\)"),
    ],
)
def test_wrong_arguments(arguments, message):
    arguments = {"encoder": exact, "log_likelihood": MODEL.log_likelihood, **arguments}
    arguments = {"batch_size": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        importance_weighted_nll(x=X, **arguments)


def test_metric_against_scipy():
    log_weights = np.random.default_rng(0).normal(size=(6, 20)) * 30 - 500
    expected = np.log(20) - scipy.special.logsumexp(log_weights, axis=1)
    metric = ImportanceWeightedNLL()
    for batch in np.split(log_weights, 2):
        metric.update_state(batch.astype("float32"))
    np.testing.assert_allclose(float(metric.result()), expected.mean(), rtol=1e-5)


def test_metric_with_a_mask():
    """Two positions of three instances: what is masked may be NaN."""
    log_weights = np.random.default_rng(0).normal(size=(3, 2, 4)).astype("float32")
    expected = np.log(4) - scipy.special.logsumexp(log_weights, axis=-1)
    mask = np.array([[True, False], [True, True], [False, False]])
    log_weights[~mask] = np.nan
    metric = ImportanceWeightedNLL()
    metric.update_state(log_weights, sample_weight=mask)
    np.testing.assert_allclose(float(metric.result()), expected[mask].mean(), rtol=1e-5)
    metric.reset_state()
    metric.update_state(log_weights[:2, :1], sample_weight=[1.0, 3.0])
    weighted = np.average(expected[:2, 0], weights=[1, 3])
    np.testing.assert_allclose(float(metric.result()), weighted, rtol=1e-5)


def test_metric_of_float16():
    metric = ImportanceWeightedNLL()
    metric.update_state(keras.ops.full((2, 4), -60000.0, dtype="float16"))
    result = metric.result()
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(result), 60000.0, rtol=1e-3)


@pytest.mark.parametrize(
    ("log_weights", "message"),
    [(np.zeros(3), r"`log_weights`.*\(3,\)"), (np.zeros((3, 0)), r"`log_weights`.*\(3, 0\)")],
)
def test_metric_with_wrong_shapes(log_weights, message):
    with pytest.raises(ValueError, match=message):
        ImportanceWeightedNLL().update_state(log_weights)
