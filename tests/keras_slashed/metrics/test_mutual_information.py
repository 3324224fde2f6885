"""mutual_information, against quadrature of the mixture, and closed forms."""

import importlib

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.metrics import mutual_information
from tests.keras_slashed.metrics.linear_gaussian import LinearGaussian
from tests.keras_slashed.metrics.linear_gaussian import amplitude_of
from tests.keras_slashed.metrics.linear_gaussian import imaginary_part


def quadrature(means, stddevs):
    """Return I(instance; z) of one latent dimension, and the variance of a draw's term."""
    z = np.linspace(means.min() - 9 * stddevs.max(), means.max() + 9 * stddevs.max(), 20001)
    log_density = scipy.stats.norm.logpdf(z, means[:, None], stddevs[:, None])
    term = log_density - scipy.special.logsumexp(log_density, axis=0) + np.log(len(means))
    density = np.exp(log_density)
    term = np.where(density > 0.0, term, 0.0)
    mean = scipy.integrate.simpson(density * term, x=z)
    square = scipy.integrate.simpson(density * term**2, x=z)
    return mean.mean(), np.mean(square - mean**2)


def example(count=40):
    rng = np.random.default_rng(0)
    return 1.5 * rng.normal(size=count), rng.uniform(0.1, 1.5, size=count)


def amplitudes(means, stddevs):
    return np.stack([means / 2**0.5, imaginary_part(stddevs)], axis=-1)


def same(x):
    return x


def test_against_quadrature():
    """The N instances are the data: no bias, and the error of the draws alone."""
    means, stddevs = example()
    expected, variance = quadrature(means, stddevs)
    computed = mutual_information(same, amplitudes(means, stddevs), num_samples=400, seed=0)
    error = (variance / (400 * len(means))) ** 0.5
    assert error < 0.01 * expected
    assert abs(computed.estimate - expected) < 4 * error
    assert computed.cap == np.log(40)
    assert computed.standard_error > error  # of a sample of instances too


def test_linear_gaussian_model():
    """With the true posterior it is I(x; z) of the model, but for a bias of order 1/N."""
    model = LinearGaussian()
    x = model.sample(2000)
    computed = mutual_information(
        lambda x: amplitude_of(model.posterior_mean(x), model.stddev), x, batch_size=500, seed=0
    )
    assert 1.0 < model.mutual_information < computed.cap - 4.0
    error = computed.standard_error
    assert 0.01 < error < 0.05
    assert abs(computed.estimate - model.mutual_information) < 3 * error


def test_standard_error():
    """Of estimates from fresh instances, in the linear-Gaussian model, by NumPy alone.

    What the function returns is the deviation of its terms, which this one's mean is
    made of; here the estimates' own deviation is compared with what it says.
    """
    rng = np.random.default_rng(0)
    model = LinearGaussian(latents=1, features=1, sigma=0.5)
    estimates, errors = [], []
    for _ in range(400):
        means = model.sample(100, rng.integers(2**31)) @ model.to_mean.T
        z = means + model.stddev * rng.normal(size=(100, 1))
        log_density = scipy.stats.norm.logpdf(z, means.T, model.stddev)
        mixed = scipy.special.logsumexp(log_density, axis=1) - np.log(100)
        terms = np.diag(log_density) - mixed
        estimates.append(terms.mean())
        errors.append(terms.std(ddof=1) / 10)
    np.testing.assert_allclose(np.std(estimates), np.mean(errors), rtol=0.15)
    # And the bias is that of a lower bound, of the order of exp(I) / N.
    bias = np.mean(estimates) - model.mutual_information
    assert -2 * np.exp(model.mutual_information) / 100 < bias < 0.0


def test_standard_error_is_that_of_the_instances():
    """Far apart in pairs: terms of log(N / 2) and log N, known without a draw."""
    place = np.array([0.0, 0.0, 1.0, 2.0, 3.0, 4.0]) * 1000.0
    x = amplitudes(place, np.full(6, 0.5))
    computed = mutual_information(same, x, num_samples=3, seed=0)
    terms = np.log([3, 3, 6, 6, 6, 6])
    np.testing.assert_allclose(computed.estimate, terms.mean(), rtol=1e-5)
    np.testing.assert_allclose(computed.standard_error, terms.std(ddof=1) / 6**0.5, rtol=1e-5)


def test_collapsed_encoder():
    """The same posterior for all: 0, with no error but rounding."""
    x = np.tile([0.3, 0.0, -1.5, 2.0], (70, 1))
    computed = mutual_information(same, x, num_samples=2, chunk_size=32)
    assert abs(computed.estimate) < 2e-6
    assert computed.standard_error < 1e-6


def test_distinct_posteriors():
    """Nothing is left but which of the N it is: the cap."""
    place = np.arange(70)[:, None] * 50.0
    x = np.concatenate([place, -place, np.zeros((70, 2))], axis=1)
    computed = mutual_information(same, x, chunk_size=32)
    np.testing.assert_allclose(computed.estimate, np.log(70), rtol=1e-6)
    np.testing.assert_allclose(computed.cap, np.log(70))
    assert computed.standard_error < 1e-6


def test_sizes_do_not_matter():
    means, stddevs = example(50)
    x = amplitudes(means, stddevs)
    first, other, seeded = (
        mutual_information(same, x, 3, batch_size, chunk_size, seed)
        for batch_size, chunk_size, seed in ((50, 512, 1), (7, 16, 1), (7, 16, 2))
    )
    np.testing.assert_allclose(other, first, rtol=1e-5)
    assert abs(seeded.estimate - first.estimate) > 1e-4


def test_memory_is_that_of_a_chunk(monkeypatch):
    """Draws and posteriors meet in squares of one shape, whatever N and S."""
    sizes = set()
    module = importlib.import_module(mutual_information.__module__)
    original = module.log_sum_of_densities

    def recorded(z, mean, log_stddev, log_weights):
        sizes.add((tuple(z.shape), tuple(mean.shape)))
        return original(z, mean, log_stddev, log_weights)

    monkeypatch.setattr(module, "log_sum_of_densities", recorded)
    for count, num_samples in ((20, 2), (50, 9)):
        mutual_information(same, amplitudes(*example(count)), num_samples, chunk_size=16)
    assert sizes == {((16, 1), (16, 1))}


def test_positions_are_instances():
    x = amplitudes(*example(48))
    flat = mutual_information(same, x, seed=0)
    shaped = mutual_information(same, x.reshape(12, 4, 2), seed=0)
    np.testing.assert_allclose(shaped, flat, rtol=1e-6)


def test_prior_of_each_instance():
    """It counts: here the amplitudes say nothing, and all is in the priors' means."""
    means, _ = example()
    computed = mutual_information(
        lambda x: SlashedNormal(0.0 * x, x[:, :1]),
        amplitudes(means, np.ones(40)) * 2**0.5,
        num_samples=400,
        seed=0,
    )
    expected, variance = quadrature(means, np.ones(40))
    assert abs(computed.estimate - expected) < 4 * (variance / 16000) ** 0.5


def test_narrow_amplitudes():
    """Whatever comes after the amplitude is in float32."""
    x = amplitudes(*example())
    narrow, rounded = (
        mutual_information(encoder, x, 3, seed=0)
        for encoder in (
            lambda x: keras.ops.cast(x, "bfloat16"),
            lambda x: keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32"),
        )
    )
    np.testing.assert_allclose(narrow, rounded, rtol=1e-5)


def test_single_instance():
    computed = mutual_information(same, amplitudes(*example(1)))
    assert computed.cap == 0.0
    assert abs(computed.estimate) < 1e-6
    assert np.isnan(computed.standard_error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "`num_samples` must be a positive integer.*num_samples=0"),
        ({"chunk_size": -1}, "`chunk_size` must be a positive integer.*chunk_size=-1"),
        ({"encoder": lambda x: x[:, :1]}, "amplitude must have the shape"),
        (
            {"encoder": lambda x: MultivariateSlashedNormal(x)},
            "independent latent dimensions.*a MultivariateSlashedNormal",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        mutual_information(**{"encoder": same, "x": amplitudes(*example()), **arguments})


def test_a_distribution_whose_standard_deviation_is_0_to_rounding():
    """Such posteriors tell all instances apart, as their amplitudes do."""
    amplitude = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    amplitude[:, 2] = -10.0
    for encoder in (lambda x: x, SlashedNormal):
        found = mutual_information(encoder, amplitude, seed=0)
        assert found.estimate == pytest.approx(np.log(20), rel=1e-5)
