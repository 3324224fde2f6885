"""SlashedNormal, against SciPy's normals, mpmath and closed forms."""

import keras
import mpmath
import numpy as np
import pytest
import scipy.stats

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.ops import normal_to_amplitude
from keras_slashed.ops.replica_seed import ReplicaSeedGenerator
from tests.support import FLOAT_DTYPES
from tests.support import assert_some_inputs_may_be_symbolic
from tests.support import at_once
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradients
from tests.support import random_amplitude
from tests.support import tensor
from tests.support import to_numpy

# Of log-densities of a few nats
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-5, "bfloat16": 2e-5}


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


def dtype_of(x):
    return keras.backend.standardize_dtype(x.dtype)


def example(dtype="float32", batch=(5,), size=3, zeros=()):
    """Return amplitude, prior mean and prior deviation of either sign, 0 at `zeros`."""
    rng = np.random.default_rng(0)
    stddev = rng.choice([-1.0, 1.0], (*batch, size)) * rng.uniform(0.3, 3.0, (*batch, size))
    stddev[..., list(zeros)] = 0.0
    values = rng.normal(size=(*batch, 2 * size)), rng.normal(size=(*batch, size)), stddev
    return [tensor(x, dtype) for x in values]


def oracle(amplitude, prior_mean, prior_stddev):
    """Mean and standard deviation in float64, by the KL divergence that b stands for."""
    a, b = np.split(to_numpy(amplitude).astype("float64"), 2, axis=-1)
    prior_mean, prior_stddev = (to_numpy(x).astype("float64") for x in (prior_mean, prior_stddev))

    def stdplus(b):
        equation = lambda y: y * y - 1 - 2 * mpmath.log(y) - 2 * b * b  # noqa: E731
        start = 1 + b if b > 0 else mpmath.exp(-b * b - 0.5)
        return float(mpmath.findroot(equation, mpmath.mpf(start), tol=1e-25))

    stddev = np.vectorize(stdplus)(b)
    return prior_mean + np.sqrt(2.0) * prior_stddev * a, np.abs(prior_stddev) * stddev


def log_prob(z, mean, stddev):
    """SciPy's sum over the dimensions whose deviation is not 0."""
    density = scipy.stats.norm.logpdf(z, mean, np.where(stddev > 0.0, stddev, 1.0))
    return np.sum(np.where(stddev > 0.0, density, 0.0), axis=-1)


def test_against_scipy(dtype):
    amplitude, prior_mean, prior_stddev = example(dtype)
    posterior = SlashedNormal(amplitude, prior_mean, prior_stddev)
    mean, stddev = oracle(amplitude, prior_mean, prior_stddev)
    rounding = {"float64": 1e-14, "float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}[dtype]
    for computed, expected in ((posterior.mean, mean), (posterior.stddev, stddev)):
        assert dtype_of(computed) == dtype
        np.testing.assert_allclose(to_numpy(computed), expected, rtol=rounding, atol=rounding)
    z = tensor(mean + stddev * np.random.default_rng(1).normal(size=mean.shape), dtype)
    values = to_numpy(z).astype("float64")
    prior = [to_numpy(x).astype("float64") for x in (prior_mean, abs(prior_stddev))]
    rates = np.sum(to_numpy(amplitude).astype("float64") ** 2, axis=-1)
    for computed, expected in (
        (posterior.log_prob(z), log_prob(values, mean, stddev)),
        (posterior.prior_log_prob(z), log_prob(values, *prior)),
        (posterior.entropy(), scipy.stats.norm.entropy(mean, stddev).sum(axis=-1)),
        (posterior.kl_divergence(), rates),
    ):
        assert dtype_of(computed) == ("float64" if dtype == "float64" else "float32")
        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(to_numpy(computed), expected, rtol=tolerance, atol=tolerance)


def test_kl_is_the_divergence():
    """Compare with the closed form for two normals."""
    with dtype_enabled("float64"):
        arguments = example("float64")
        posterior = SlashedNormal(*arguments)
        mean, stddev = oracle(*arguments)
        prior_mean, prior_stddev = (to_numpy(x) for x in arguments[1:])
        spread, distance = (stddev / prior_stddev) ** 2, ((mean - prior_mean) / prior_stddev) ** 2
        expected = np.sum(0.5 * (spread + distance - 1.0 - np.log(spread)), axis=-1)
        np.testing.assert_allclose(to_numpy(posterior.kl_divergence()), expected, rtol=1e-12)


def test_degenerate(dtype):
    """A deviation of 0: the density of the other dimensions, and -inf elsewhere."""
    arguments = example(dtype, zeros=[1])
    posterior = SlashedNormal(*arguments)
    mean, stddev = oracle(*arguments)
    z = posterior.sample(4, seed=1)
    values = to_numpy(z).astype("float64")
    prior_mean = to_numpy(arguments[1]).astype("float64")
    np.testing.assert_array_equal(values[..., 1], np.repeat(prior_mean[:, 1:2], 4, axis=1))
    expected = log_prob(values, mean[:, None], stddev[:, None])
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(
        to_numpy(posterior.log_prob(z)), expected, rtol=tolerance, atol=tolerance
    )
    entropy = scipy.stats.norm.entropy(mean, np.where(stddev > 0, stddev, 1.0))[:, [0, 2]]
    np.testing.assert_allclose(to_numpy(posterior.entropy()), entropy.sum(-1), rtol=1e-5)
    off = tensor(values + np.array([0.0, 0.5, 0.0]), dtype)
    assert np.all(to_numpy(posterior.log_prob(off)) == -np.inf)
    assert np.all(to_numpy(posterior.prior_log_prob(off)) == -np.inf)
    assert np.isfinite(to_numpy(posterior.prior_log_prob(z))).all()


def test_degenerate_in_every_dimension():
    """A point: its log-density is 0 there, as SciPy's of rank 0 is, and its entropy."""
    posterior = SlashedNormal([0.5, -0.5], [2.0], [0.0])
    assert float(posterior.log_prob([2.0])) == 0.0
    assert float(posterior.log_prob([2.1])) == -np.inf
    assert float(posterior.entropy()) == 0.0
    assert float(posterior.kl_divergence()) == 0.5


@pytest.mark.parametrize("b", [-3.0, -9.0, -14.0, -60.0])
def test_tiny_deviations(b):
    """The logarithm of a deviation that underflows, by mpmath: stddev -> e^-(b^2 + 1/2)."""
    posterior = SlashedNormal(np.array([0.5, b], "float32"))
    with mpmath.workdps(40):
        power = mpmath.lambertw(-mpmath.exp(-2 * mpmath.mpf(b) ** 2 - 1))
        log_stddev = mpmath.log(-power) / 2
        expected = float(log_stddev + (1 + mpmath.log(2 * mpmath.pi)) / 2)
    np.testing.assert_allclose(float(posterior.entropy()), expected, rtol=1e-6)
    at_the_mean = to_numpy(posterior.log_prob(posterior.mean))
    np.testing.assert_allclose(at_the_mean, 0.5 - expected, rtol=1e-6, atol=1e-4)
    assert np.isfinite(to_numpy(posterior.log_prob([1.0])))


def test_moments_of_draws():
    """Within five standard errors of 20,000 draws, in each of the batch."""
    arguments, count = example(zeros=[2]), 20_000
    z = to_numpy(SlashedNormal(*arguments).sample(count, seed=3)).astype("float64")
    assert z.shape == (5, count, 3)
    mean, stddev = oracle(*arguments)
    bound = 5.0 / np.sqrt(count)
    assert np.all(np.abs(z.mean(axis=1) - mean) <= bound * stddev + 1e-6)
    assert np.all(np.abs(z.std(axis=1) - stddev) <= bound * stddev + 1e-6)
    # Entropy and divergence are means over draws.
    posterior = SlashedNormal(*example())
    z = posterior.sample(count, seed=4)
    densities, priors = to_numpy(posterior.log_prob(z)), to_numpy(posterior.prior_log_prob(z))
    entropy, kl = -densities.mean(axis=1), (densities - priors).mean(axis=1)
    np.testing.assert_allclose(entropy, to_numpy(posterior.entropy()), atol=bound * 2.0)
    np.testing.assert_allclose(kl, to_numpy(posterior.kl_divergence()), atol=bound * 6.0)


def test_seeds():
    posterior = SlashedNormal(*example())
    first = to_numpy(posterior.sample(seed=1))
    np.testing.assert_array_equal(first, to_numpy(posterior.sample(seed=1)))
    assert np.all(first != to_numpy(posterior.sample(seed=2)))
    generator = keras.random.SeedGenerator(1)
    one, two = (to_numpy(posterior.sample(seed=generator)) for _ in range(2))
    assert np.all(one != two)
    assert np.all(to_numpy(posterior.sample()) != to_numpy(posterior.sample()))


def test_draws_are_those_of_the_layer():
    """The same mathematics: the same noise gives the same draws."""
    arguments = example()
    layer = SlashedNormalSampling(seed=5, num_samples=3)
    expected = to_numpy(layer(*arguments))
    z = SlashedNormal(*arguments).sample(3, seed=ReplicaSeedGenerator(5))
    np.testing.assert_array_equal(to_numpy(z), expected)


@pytest.mark.parametrize(
    ("amplitude", "prior", "z", "batch"),
    [
        ((6,), (4, 3), (3,), (4,)),
        ((4, 1, 6), (5, 3), (4, 5, 3), (4, 5)),
        ((4, 6), (), (3,), (4,)),
        ((6,), (1,), (7, 3), ()),
        ((4, 6), (3,), (7, 4, 3), (4,)),  # as NumPy broadcasts
        ((4, 6), (1,), (4, 7, 3), (4,)),  # as `sample` draws
        ((4, 6), (4, 1), (4, 7, 2, 3), (4,)),
        ((4, 6), (4, 3), (4, 4, 3), (4,)),  # as `sample` draws, where both fit
    ],
)
def test_shapes_broadcast(amplitude, prior, z, batch):
    rng = np.random.default_rng(0)
    shapes = amplitude, prior, prior, z
    amplitude, prior_mean, prior_stddev, z = (rng.normal(size=x).astype("float32") for x in shapes)

    def everything(amplitude, prior_mean, prior_stddev, z):
        posterior = SlashedNormal(amplitude, prior_mean, prior_stddev)
        draws = posterior.sample(seed=0), posterior.sample(2, seed=0)
        sums = posterior.log_prob(z), posterior.entropy(), posterior.kl_divergence()
        return posterior.mean, posterior.stddev, *draws, *sums

    values = at_once(everything)(amplitude, prior_mean, prior_stddev, z)
    mean, stddev, draw, draws, computed, entropy, kl = (to_numpy(x) for x in values)
    assert mean.shape == stddev.shape == draw.shape == (*batch, 3)
    assert draws.shape == (*batch, 2, 3)
    assert entropy.shape == kl.shape == batch
    # Each of the batch has noise of its own, where only the prior has the axis too.
    noise = ((draw - mean) / stddev).reshape(-1, 3)
    assert len(np.unique(noise.round(4), axis=0)) == len(noise)
    if z.shape[:-2] and z.shape[0] == 4 and batch == (4,):
        insert = tuple(range(1, z.ndim - 1))
        mean, stddev = np.expand_dims(mean, insert), np.expand_dims(stddev, insert)
    expected = log_prob(z, mean, stddev)
    assert computed.shape == expected.shape
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4)


def test_gradients(dtype):
    """Finite everywhere on the support, for extreme amplitudes and zeros of the prior too."""
    largest = {"float16": 6e4}.get(dtype, 1e30)
    amplitude = tensor([[0.0, 1.0, -3.0, 0.0, -14.0, 2.0], [largest, 0, 0, -largest, 0, 1]], dtype)
    prior_mean, prior_stddev = tensor([0.5, 0.0, 1.0], dtype), tensor([1.0, -2.0, 0.0], dtype)
    z = tensor([[0.5, 1.0, 1.0], [0.2, -1.0, 1.0]], dtype)

    def functions(*arguments):
        posterior = SlashedNormal(*arguments)
        values = posterior.log_prob(z), posterior.prior_log_prob(z), posterior.entropy()
        draws = keras.ops.cast(posterior.sample(seed=0)[..., 0], values[0].dtype)
        return keras.ops.stack([*values, draws])

    values, slopes = at_once(lambda *each: (functions(*each), gradients(functions, each)))(
        amplitude, prior_mean, prior_stddev
    )
    assert np.isfinite(to_numpy(values)).all()
    for index, slope in enumerate(map(to_numpy, slopes)):
        # The far amplitude's divergence has no finite slope in float16.
        if dtype != "float16":
            assert np.isfinite(slope).all(), index
        else:
            assert not np.isnan(slope).any(), index


def test_gradient_of_log_prob_by_differences():
    with dtype_enabled("float64"):
        arguments = [to_numpy(x) for x in example("float64", batch=())]
        z, step = np.array([0.3, -0.2, 1.0]), 1e-6

        def value(*arguments):
            return SlashedNormal(*(tensor(x, "float64") for x in arguments)).log_prob(z)

        def slopes_at(*tensors):
            return gradients(lambda *each: SlashedNormal(*each).log_prob(z), tensors)

        slopes = at_once(slopes_at)(*(tensor(x, "float64") for x in arguments))
        for index, slope in enumerate(map(to_numpy, slopes)):
            expected = []
            for shift in step * np.eye(arguments[index].size):
                ends = []
                for sign in (1, -1):
                    changed = [*arguments]
                    changed[index] = changed[index] + sign * shift
                    ends.append(float(value(*changed)))
                expected.append((ends[0] - ends[1]) / (2 * step))
            np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7)


def test_compiled_equals_eager():
    arguments = example(zeros=[1])
    z = SlashedNormal(*arguments).sample(4, seed=0)

    def function(amplitude, prior_mean, prior_stddev, z):
        posterior = SlashedNormal(amplitude, prior_mean, prior_stddev)
        values = posterior.mean, posterior.stddev, posterior.entropy(), posterior.kl_divergence()
        return *values, posterior.log_prob(z)

    for one, other in zip(compiled(function)(*arguments, z), function(*arguments, z), strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-5, atol=1e-5)


def test_functional_model():
    """All but draws, which the layer makes there."""
    amplitude, prior, z = keras.Input((6,)), keras.Input((3,)), keras.Input((3,))
    posterior = SlashedNormal(amplitude, prior, prior)
    outputs = [posterior.mean, posterior.stddev, posterior.log_prob(z), posterior.entropy()]
    assert [x.shape for x in outputs] == [(None, 3), (None, 3), (None,), (None,)]
    model = keras.Model([amplitude, prior, z], [*outputs, posterior.kl_divergence()])
    psi, mean, stddev = example()
    posterior = SlashedNormal(psi, stddev, stddev)
    expected = [posterior.mean, posterior.stddev, posterior.log_prob(mean), posterior.entropy()]
    for one, other in zip(model([psi, stddev, mean]), [*expected, posterior.kl_divergence()]):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-5, atol=1e-6)


def test_some_inputs_are_symbolic():
    amplitude, prior_mean, prior_stddev = example()

    def function(amplitude, prior_mean, prior_stddev, z):
        posterior = SlashedNormal(amplitude, prior_mean, prior_stddev)
        values = posterior.mean, posterior.stddev, posterior.entropy(), posterior.kl_divergence()
        # The posterior alone can be symbolic, or z.
        return *values, posterior.log_prob(z), SlashedNormal(amplitude).prior_log_prob(z)

    assert_some_inputs_may_be_symbolic(function, amplitude, prior_mean, prior_stddev, prior_mean)


def test_an_encoder_of_mean_and_log_variance_keeps_its_posterior(dtype):
    """Converted to an amplitude, relative to any prior."""
    rng = np.random.default_rng(0)
    mean, log_variance = (tensor(rng.normal(size=(5, 3)), dtype) for _ in range(2))
    _, prior_mean, prior_stddev = example(dtype)
    stddev = keras.ops.exp(0.5 * log_variance)
    for prior in ((), (prior_mean, prior_stddev)):
        posterior = SlashedNormal(normal_to_amplitude(mean, stddev, *prior), *prior)
        tolerance = {"float64": 1e-14, "float32": 4e-6, "float16": 1e-2, "bfloat16": 8e-2}[dtype]
        for computed, expected in ((posterior.mean, mean), (posterior.stddev, stddev)):
            np.testing.assert_allclose(
                to_numpy(computed), to_numpy(expected), rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3),), r"shape \(\.\.\., 2K\).*Received: amplitude.shape=\(3,\)"),
        ((np.ones(4), np.ones(3)), r"`prior_mean` must have a last axis of length 2.*Received"),
        ((np.ones(4), None, np.ones((5, 4))), r"`prior_stddev` must have a last axis of length 2"),
        ((np.ones((5, 4)), np.ones((3, 2))), r"broadcast together.*prior_mean: \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        SlashedNormal(*arguments)


@pytest.mark.parametrize("shape", [(), (3,), (1,), (4, 2), (4, 4, 2)])
def test_z_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"`z` must have the shape \(\.\.\., 2\).*Received: z"):
        SlashedNormal(np.ones((5, 4))).log_prob(np.ones(shape))


def test_num_samples_is_a_positive_integer():
    with pytest.raises(ValueError, match="`num_samples` must be None or a positive"):
        SlashedNormal([1.0, 0.0]).sample(0)


def test_a_distance_of_many_standard_deviations():
    found = float(SlashedNormal([0.0, 0.0]).log_prob([1e12]))
    np.testing.assert_allclose(found, -0.5e24, rtol=1e-6)


def test_tiny_deviations_in_float64():
    """Of e^-199.3, whose draws have their distance."""
    with dtype_enabled("float64"):
        b = 14.1
        log_stddev = -(b**2) - 0.5
        z = tensor([2.0 * np.exp(log_stddev)], "float64")
        found = float(SlashedNormal(tensor([0.0, -b], "float64")).log_prob(z))
        np.testing.assert_allclose(found, -2.0 - log_stddev - 0.5 * np.log(2 * np.pi), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("multivariate", [False, True])
def test_draws_are_on_a_prior_of_more_digits(dtype, multivariate):
    """The draw of a dimension without width is the rounded prior mean, in whatever dtype z is."""
    prior_mean = np.linspace(0.1, 1.7, 40, dtype="float32")
    stddev = np.float32(np.arange(40) == 7)
    amplitude = random_amplitude((80,), dtype)
    if multivariate:
        posterior = MultivariateSlashedNormal(amplitude, None, prior_mean, np.diag(stddev))
    else:
        posterior = SlashedNormal(amplitude, prior_mean, stddev)
    z = posterior.sample(3, seed=0)
    for each in (z, to_numpy(z)):
        assert np.isfinite(to_numpy(posterior.log_prob(each))).all()


def test_draws_after_a_batch_axis_of_length_1():
    """The batch (4, 1) has draws of the shape (4, 5, 7), though 4, 1 does not fit 5, 7."""
    amplitude = np.random.default_rng(0).normal(size=(4, 1, 6)).astype("float32")
    z = np.random.default_rng(1).normal(size=(4, 5, 7, 3)).astype("float32")
    found = to_numpy(SlashedNormal(amplitude).log_prob(z))
    full = SlashedNormal(np.repeat(amplitude, 5, axis=1)).log_prob(z)
    np.testing.assert_allclose(found, to_numpy(full), rtol=1e-6)
