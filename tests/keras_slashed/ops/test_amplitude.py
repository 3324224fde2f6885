"""Amplitudes and their normals, against the closed form of the KL divergence."""

import keras
import ml_dtypes
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import normal_to_amplitude
from keras_slashed.ops import rate
from tests.support import FLOAT_DTYPES
from tests.support import assert_some_inputs_may_be_symbolic
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import random_amplitude
from tests.support import tensor
from tests.support import to_numpy

# Of a KL divergence made of means and standard deviations rounded to the dtype.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


def normal_kl(mean, stddev, prior_mean=0.0, prior_stddev=1.0):
    """KL(N(mean, stddev^2) || N(prior_mean, prior_stddev^2)), summed over the last axis."""
    mean, stddev = np.float64(mean), np.float64(stddev)
    distance = ((mean - prior_mean) / prior_stddev) ** 2
    spread = (stddev / prior_stddev) ** 2
    return np.sum(0.5 * (spread + distance - 1.0 - np.log(spread)), axis=-1)


def dtype_of(x):
    return keras.backend.standardize_dtype(x.dtype)


def example(dtype, seed=0):
    """Return amplitudes (5, 8), as tensor and in NumPy, and a prior of either sign."""
    rng = np.random.default_rng(seed)
    amplitude = tensor(rng.normal(size=(5, 8)), dtype)
    prior_mean = tensor(rng.normal(size=(5, 4)), dtype)
    sign = rng.choice([-1.0, 1.0], (5, 4))
    prior_stddev = tensor(sign * rng.uniform(0.3, 3.0, (5, 4)), dtype)
    return amplitude, to_numpy(amplitude).astype("float64"), prior_mean, prior_stddev


# --- The KL divergence is the squared norm


def test_kl_is_the_squared_norm(dtype):
    amplitude, psi, *_ = example(dtype)
    mean, stddev = (to_numpy(x) for x in amplitude_to_normal(amplitude))
    np.testing.assert_allclose(
        normal_kl(mean, stddev), np.sum(psi**2, axis=-1), rtol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize("seed", range(3))
def test_kl_is_the_squared_norm_whatever_the_prior(seed, dtype):
    amplitude, psi, prior_mean, prior_stddev = example(dtype, seed)
    prior = to_numpy(prior_mean).astype("float64"), to_numpy(prior_stddev).astype("float64")
    assert (prior[1] < 0.0).any()
    mean, stddev = amplitude_to_normal(amplitude, prior_mean, prior_stddev)
    mean, stddev = to_numpy(mean), to_numpy(stddev)
    assert (stddev > 0.0).all()
    np.testing.assert_allclose(
        normal_kl(mean, stddev, *prior), np.sum(psi**2, axis=-1), rtol=TOLERANCE[dtype]
    )
    # A negative deviation of the prior mirrors the mean.
    moved = np.sign(mean - prior[0])
    np.testing.assert_array_equal(moved, np.sign(psi[:, :4]) * np.sign(prior[1]))


@pytest.mark.parametrize(
    ("psi", "prior_mean", "prior_stddev"),
    [([0.6, -0.9], 0.0, 1.0), ([-1.1, 0.4], 2.0, 0.5), ([0.3, -2.0], -1.0, -3.0)],
)
def test_kl_by_integration(psi, prior_mean, prior_stddev):
    """No formula of the divergence of normals at all."""
    with dtype_enabled("float64"):
        amplitude = tensor(psi, "float64")
        mean, stddev = amplitude_to_normal(amplitude, prior_mean, prior_stddev)
        posterior = scipy.stats.norm(to_numpy(mean)[0], to_numpy(stddev)[0])
    prior = scipy.stats.norm(prior_mean, abs(prior_stddev))

    def integrand(z):
        return posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z))

    kl, _ = scipy.integrate.quad(integrand, *posterior.interval(1 - 1e-14), epsabs=1e-12)
    np.testing.assert_allclose(kl, np.sum(np.square(psi)), rtol=1e-9)


# --- There and back


def test_round_trip_of_an_amplitude(dtype):
    amplitude, psi, prior_mean, prior_stddev = example(dtype)
    for prior in ((), (prior_mean,), (prior_mean, prior_stddev), (None, prior_stddev)):
        again = normal_to_amplitude(*amplitude_to_normal(amplitude, *prior), *prior)
        assert dtype_of(again) == dtype
        # Near stdplus(0) = 1, and by a prior mean, relative digits are lost.
        tolerance = {"float64": 1e-14, "float32": 5e-6, "float16": 4e-2, "bfloat16": 3e-1}[dtype]
        np.testing.assert_allclose(to_numpy(again), psi, atol=tolerance, rtol=0)


def test_round_trip_of_a_normal():
    rng = np.random.default_rng(0)
    with dtype_enabled("float64"):
        mean, prior_mean = (tensor(rng.normal(size=(5, 4)), "float64") for _ in range(2))
        stddev, prior_stddev = (tensor(rng.uniform(1e-3, 5.0, (5, 4)), "float64") for _ in range(2))
        amplitude = normal_to_amplitude(mean, stddev, prior_mean, prior_stddev)
        again = amplitude_to_normal(amplitude, prior_mean, prior_stddev)
        kl = normal_kl(*(to_numpy(x) for x in (mean, stddev, prior_mean, prior_stddev)))
        np.testing.assert_allclose(to_numpy(rate(amplitude)), kl, rtol=1e-12)
        for x, y in zip(again, (mean, stddev)):
            np.testing.assert_allclose(to_numpy(x), to_numpy(y), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("mean_shape", "stddev_shape"), [((5, 4), (5, 1)), ((5, 1), (4,))])
def test_normal_to_amplitude_broadcasts_mean_and_stddev(mean_shape, stddev_shape):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=mean_shape).astype("float32")
    stddev = rng.uniform(0.1, 2.0, stddev_shape).astype("float32")
    full = [np.broadcast_to(x, (5, 4)) for x in (mean, stddev)]
    amplitude = to_numpy(normal_to_amplitude(mean, stddev))
    np.testing.assert_allclose(amplitude, to_numpy(normal_to_amplitude(*full)), rtol=1e-6)


def test_a_deviation_of_zero_has_a_finite_amplitude_that_stands_for_it():
    amplitude = normal_to_amplitude([0.0], [0.0])
    assert np.isfinite(to_numpy(amplitude)).all()
    assert to_numpy(amplitude_to_normal(amplitude)[1]) == 0.0


# --- Priors of every shape and dtype


@pytest.mark.parametrize("shape", [(), (1,), (4,), (5, 1), (1, 4)])
def test_priors_broadcast(shape):
    amplitude, *_ = example("float32")
    rng = np.random.default_rng(1)
    prior_mean = rng.normal(size=shape).astype("float32")
    prior_stddev = rng.uniform(0.3, 3.0, shape).astype("float32")
    full = [np.broadcast_to(prior, (5, 4)) for prior in (prior_mean, prior_stddev)]
    normal = amplitude_to_normal(amplitude, prior_mean, prior_stddev)
    for computed, expected in zip(normal, amplitude_to_normal(amplitude, *full)):
        np.testing.assert_allclose(to_numpy(computed), to_numpy(expected), rtol=1e-6)
    computed = normal_to_amplitude(*normal, prior_mean, prior_stddev)
    expected = normal_to_amplitude(*normal, *full)
    np.testing.assert_allclose(to_numpy(computed), to_numpy(expected), rtol=1e-5, atol=1e-6)


def test_prior_for_each_sequence():
    """A prior of (batch, 1, K) for amplitudes of (batch, time, 2K)."""
    amplitude = random_amplitude((2, 3, 8))
    prior_mean = np.arange(8.0, dtype="float32").reshape(2, 1, 4)
    mean, _ = amplitude_to_normal(amplitude, prior_mean)
    standard, _ = amplitude_to_normal(amplitude)
    np.testing.assert_allclose(to_numpy(mean), to_numpy(standard) + prior_mean, rtol=1e-6)


@pytest.mark.parametrize("kind", ["python", "integers", "float64 array", "variable"])
def test_kinds_of_priors(kind, dtype):
    """A prior of another dtype than the amplitude's, as NumPy's default float64 is."""
    amplitude, *_ = example(dtype)
    prior_mean, prior_stddev = {
        "python": (1.0, 2.0),
        "integers": ([1, 1, 1, 1], 2),
        "float64 array": (np.ones(4), np.full(4, 2.0)),
        "variable": (keras.Variable([1.0] * 4), keras.Variable([2.0] * 4)),
    }[kind]
    full = tensor(np.ones(4), dtype), tensor(np.full(4, 2.0), dtype)
    tolerance = 4 * float(ml_dtypes.finfo(dtype).eps)
    normal = amplitude_to_normal(amplitude, prior_mean, prior_stddev)
    for computed, expected in zip(normal, amplitude_to_normal(amplitude, *full)):
        assert dtype_of(computed) == dtype
        np.testing.assert_allclose(to_numpy(computed), to_numpy(expected), rtol=tolerance)
    computed = normal_to_amplitude(*normal, prior_mean, prior_stddev)
    assert dtype_of(computed) == dtype
    expected = normal_to_amplitude(*normal, *full)
    np.testing.assert_allclose(
        to_numpy(computed), to_numpy(expected), rtol=tolerance, atol=tolerance
    )


# --- The rate


def test_rate(dtype):
    amplitude = random_amplitude((2, 3, 8), dtype)
    computed = rate(amplitude)
    assert dtype_of(computed) == ("float64" if dtype == "float64" else "float32")
    assert tuple(computed.shape) == (2, 3)
    expected = np.sum(to_numpy(amplitude).astype("float64") ** 2, axis=-1)
    rtol = 1e-15 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(to_numpy(computed), expected, rtol=rtol)
    np.testing.assert_array_equal(to_numpy(gradient(rate, amplitude)), 2.0 * to_numpy(amplitude))


def test_rate_of_one_vector():
    assert float(rate([3.0, 4.0])) == 25.0
    assert float(rate(np.array([3, 4]))) == 25.0


def test_rate_does_not_overflow(dtype):
    """512 squares of 12 overflow in float16, one of 2e19 in float32."""
    assert float(rate(tensor(np.full(512, 12.0), dtype))) == 512 * 144.0
    for sign in (-1.0, 1.0):
        amplitude = tensor(np.full(512, sign * largest(dtype)), dtype)
        assert np.isfinite(float(rate(amplitude)))
        assert np.isfinite(to_numpy(gradient(rate, amplitude))).all()


@pytest.mark.parametrize(
    ("dtype", "clip"), [("float32", 2.0**52), ("bfloat16", 2.0**52), ("float16", 2.0**12)]
)
def test_rate_saturates_at_the_largest_amplitude(dtype, clip):
    psi = np.array([clip / 2.0, clip, 8.0 * clip, largest(dtype)])
    for sign in (-1.0, 1.0):
        amplitude = tensor(np.stack([sign * psi, 0.0 * psi], axis=-1), dtype)
        expected = np.array([0.25, 1.0, 1.0, 1.0]) * clip**2
        np.testing.assert_array_equal(to_numpy(rate(amplitude)), expected)


def largest(dtype):
    return float(ml_dtypes.finfo(dtype).max)


def test_extreme_amplitudes_have_finite_normals(dtype):
    """With a wide prior too, whose mean and standard deviation float16 does not hold."""
    values = [0.0, float(ml_dtypes.finfo(dtype).smallest_subnormal), 1e-20, 1e-4, 30.0]
    values = np.minimum([*values, 255.0, 6e4, 1e19, 1e30, np.inf], largest(dtype))
    psi = np.concatenate([values, -values, -values, values]).reshape(2, 5, 4)
    amplitude = tensor(np.concatenate(psi, axis=-1), dtype)
    for prior in ((), (1.0, 100.0), (-1.0, 1e-3)):
        prior = [tensor(value, dtype) for value in prior]

        def normal(amplitude, prior=prior):
            return keras.ops.concatenate(amplitude_to_normal(amplitude, *prior), axis=-1)

        assert np.isfinite(to_numpy(normal(amplitude))).all()
        assert np.isfinite(to_numpy(gradient(normal, amplitude))).all()


@pytest.mark.parametrize("prior_stddev", [1.0, 0.01])
def test_extreme_normals_have_finite_amplitudes(prior_stddev, dtype):
    """Whose quotient by the prior's deviation the dtype does not hold."""
    smallest = float(ml_dtypes.finfo(dtype).tiny)
    mean = np.array([-1.0, 1.0, -1.0, 1.0]) * largest(dtype)
    stddev = np.array([smallest, smallest, largest(dtype), largest(dtype)])
    prior_stddev = tensor(prior_stddev, dtype)
    amplitude = normal_to_amplitude(
        tensor(mean, dtype), tensor(stddev, dtype), prior_stddev=prior_stddev
    )
    assert np.isfinite(to_numpy(amplitude)).all()


# --- Symbolic and compiled


def test_symbolic(dtype):
    amplitude = keras.KerasTensor((None, 3, 8), dtype=dtype)
    prior = keras.KerasTensor((None, 1, 4), dtype=dtype)
    for x in amplitude_to_normal(amplitude, prior, prior):
        assert x.shape == (None, 3, 4)
        assert x.dtype == dtype
    normal = keras.KerasTensor((None, 3, 4), dtype=dtype)
    again = normal_to_amplitude(normal, normal, prior, prior)
    assert again.shape == (None, 3, 8)
    assert again.dtype == dtype
    assert rate(amplitude).shape == (None, 3)
    if dtype != "float64":  # of which Keras' own symbolic sums are float32 on JAX and PyTorch
        assert rate(amplitude).dtype == "float32"


def test_functional_model():
    amplitude = keras.Input((8,))
    prior = keras.Input((4,))
    outputs = [*amplitude_to_normal(amplitude, prior, prior), rate(amplitude)]
    model = keras.Model([amplitude, prior], outputs)
    psi, _, _, prior_value = example("float32")
    expected = [*amplitude_to_normal(psi, prior_value, prior_value), rate(psi)]
    for computed, value in zip(model([psi, prior_value]), expected):
        np.testing.assert_allclose(to_numpy(computed), to_numpy(value), rtol=1e-6)


def test_some_inputs_are_symbolic():
    amplitude, _, prior_mean, prior_stddev = example("float32")
    arguments = amplitude, prior_mean, prior_stddev
    assert_some_inputs_may_be_symbolic(amplitude_to_normal, *arguments)
    mean, stddev = amplitude_to_normal(*arguments)

    def back(*arguments):
        return [normal_to_amplitude(*arguments)]

    assert_some_inputs_may_be_symbolic(back, mean, stddev, *arguments[1:])


def test_constant_priors_in_a_file(tmp_path):
    """As numbers, which the saved graph contains."""
    inputs = keras.Input((8,))
    model = keras.Model(inputs, amplitude_to_normal(inputs, prior_mean=1.0, prior_stddev=2.0))
    model.save(tmp_path / "model.keras")
    amplitude = example("float32")[0]
    expected = amplitude_to_normal(amplitude, 1.0, 2.0)
    for one, other in zip(keras.saving.load_model(tmp_path / "model.keras")(amplitude), expected):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_compiled_equals_eager(dtype):
    amplitude, _, prior_mean, prior_stddev = example(dtype)

    def there_and_back(amplitude):
        mean, stddev = amplitude_to_normal(amplitude, prior_mean, prior_stddev)
        return mean, stddev, normal_to_amplitude(mean, stddev), rate(amplitude)

    rtol = {"float32": 1e-5, "float16": 1e-2}[dtype]
    for computed, expected in zip(compiled(there_and_back)(amplitude), there_and_back(amplitude)):
        np.testing.assert_allclose(
            to_numpy(computed), to_numpy(expected), rtol=rtol, atol=0.1 * rtol
        )


# --- Errors


@pytest.mark.parametrize("function", [rate, amplitude_to_normal])
@pytest.mark.parametrize(
    "amplitude",
    [
        np.ones((2, 3)),
        np.ones((2, 0)),
        np.ones(()),
        keras.KerasTensor((2, None)),
        keras.KerasTensor((None, 5)),
    ],
)
def test_amplitude_without_two_halves(function, amplitude):
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 2K\).*even") as error:
        function(amplitude)
    assert f"Received: amplitude.shape={tuple(amplitude.shape)}" in str(error.value)


@pytest.mark.parametrize("name", ["prior_mean", "prior_stddev"])
@pytest.mark.parametrize("shape", [(3,), (8,), (2, 4), (4, 5), (1, 5, 4), (5, 8)])
def test_prior_that_does_not_broadcast(name, shape):
    amplitude = np.ones((5, 8), "float32")
    normal = np.ones((5, 4), "float32")
    prior = {name: np.ones(shape, "float32")}
    for function, arguments in (
        (amplitude_to_normal, (amplitude,)),
        (normal_to_amplitude, (normal, normal)),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must broadcast") as error:
            function(*arguments, **prior)
        assert "shape (5, 4)" in str(error.value)
        assert f"Received: {name}.shape={shape}" in str(error.value)


def test_symbolic_prior_that_does_not_broadcast():
    amplitude = keras.KerasTensor((None, 3, 8))
    with pytest.raises(ValueError, match="`prior_mean` must broadcast"):
        amplitude_to_normal(amplitude, keras.KerasTensor((None, 2, 4)))


def test_normal_without_an_axis():
    with pytest.raises(ValueError, match="mean"):
        normal_to_amplitude(2.0, 0.5)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (4, 4, 1)])
def test_mean_and_stddev_that_do_not_fit(shape):
    with pytest.raises(ValueError, match=r"broadcast together.*mean\.shape=\(5, 4\)"):
        normal_to_amplitude(np.zeros((5, 4)), np.ones(shape))


def test_a_prior_of_all_latent_dimensions_of_one_mean():
    """The dimensions are those of mean and deviation together."""
    mean, stddev = np.zeros((5, 1)), np.float64([0.5, 1.0, 2.0, 3.0])
    prior = np.arange(4.0), np.full(4, 2.0)
    expected = normal_to_amplitude(np.zeros((5, 4)), np.tile(stddev, (5, 1)), *prior)
    computed = normal_to_amplitude(mean, stddev, *prior)
    np.testing.assert_array_equal(to_numpy(computed), to_numpy(expected))
