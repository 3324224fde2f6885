"""MultivariateSlashedNormal, against SciPy's multivariate normal and NumPy."""

import keras
import numpy as np
import pytest
import scipy.stats

from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.ops import householder_rotation
from keras_slashed.ops.replica_seed import ReplicaSeedGenerator
from tests.support import FLOAT_DTYPES
from tests.support import at_once
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy

# (D, K, rank): square, tall, wide; of full rank and not. Few shapes, which JAX compiles.
SCALES = [(3, 3, 3), (5, 3, 3), (2, 3, 2), (3, 3, 2), (5, 3, 1), (2, 3, 1), (3, 3, 0)]
every_scale = pytest.mark.parametrize("shape", SCALES, ids=str)


@pytest.fixture(params=FLOAT_DTYPES)
def dtype(request):
    with dtype_enabled(request.param):
        yield request.param


@pytest.fixture
def float64():
    with dtype_enabled("float64"):
        yield


def arrays(rows, columns, rank, seed=0):
    """Return amplitude, rotation, prior mean and a scale of a rank, in float64."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    scale = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))
    return rng.normal(size=2 * columns), rotation, rng.normal(size=rows), scale


def distribution(values, dtype="float64"):
    return MultivariateSlashedNormal(*(tensor(x, dtype) for x in values))


@at_once
def densities(amplitude, rotation, prior_mean, scale, z):
    """Return the log-densities of posterior and prior, and the entropy."""
    posterior = MultivariateSlashedNormal(amplitude, rotation, prior_mean, scale)
    return posterior.log_prob(z), posterior.prior_log_prob(z), posterior.entropy()


def relative(amplitude):
    """Mean and standard deviation relative to a standard normal, b solved for by bisection."""
    a, b = np.split(np.float64(amplitude), 2, axis=-1)
    low, high = np.where(b < 0.0, 1e-12, 1.0), np.where(b < 0.0, 1.0, 3.0 + 2.0 * np.abs(b))
    for _ in range(200):
        middle = 0.5 * (low + high)
        value = np.sign(middle - 1.0) * (middle**2 - 1.0 - 2.0 * np.log(middle))
        is_low = value < 2.0 * b * np.abs(b)
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return np.sqrt(2.0) * a, middle


def moments(amplitude, rotation, prior_mean, scale):
    mean, stddev = relative(amplitude)
    factor = scale @ rotation * stddev
    return prior_mean + scale @ mean, factor @ factor.T


def joined(values, dtype):
    """Return all arguments as one vector, of which one derivative serves them all."""
    return tensor(np.concatenate([np.ravel(x) for x in values]), dtype)


def apart(vector, values):
    """Return the arguments again, in the shapes of `values`."""
    ends = np.cumsum([np.size(x) for x in values])
    starts = [0, *ends[:-1]]
    pieces = [vector[start:end] for start, end in zip(starts, ends)]
    return [keras.ops.reshape(x, np.shape(y)) for x, y in zip(pieces, values)]


def scipy_normal(mean, covariance):
    return scipy.stats.multivariate_normal(mean, covariance, allow_singular=True)


def gaussian_kl(mean, covariance, prior_mean, prior_covariance, rank):
    """KL of two normals on the same subspace of a dimension, by eigenvectors and slogdet."""
    if rank == 0:
        return 0.0
    basis = np.linalg.eigh(prior_covariance)[1][:, -rank:]
    one, two = basis.T @ covariance @ basis, basis.T @ prior_covariance @ basis
    move = basis.T @ (mean - prior_mean)
    logs = np.linalg.slogdet(two)[1] - np.linalg.slogdet(one)[1]
    quadratic = move @ np.linalg.solve(two, move)
    return 0.5 * (np.trace(np.linalg.solve(two, one)) + quadratic - rank + logs)


@every_scale
def test_against_scipy(shape, float64):
    values = arrays(*shape)
    posterior = distribution(values)
    mean, covariance = moments(*values)
    np.testing.assert_allclose(to_numpy(posterior.mean), mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(to_numpy(posterior.covariance), covariance, rtol=1e-12, atol=1e-12)
    scale = to_numpy(posterior.scale)
    np.testing.assert_allclose(scale @ scale.T, covariance, rtol=1e-12, atol=1e-12)
    prior = scipy_normal(values[2], values[3] @ values[3].T)
    posterior_oracle = scipy_normal(mean, covariance)
    if shape[2] == 0:  # SciPy's point is nowhere
        assert float(posterior.log_prob(values[2])) == float(posterior.entropy()) == 0.0
        return
    z = values[2] + np.random.default_rng(1).normal(size=(6, shape[1])) @ values[3].T
    results = densities(*(tensor(x, "float64") for x in (*values, z)))
    oracles = posterior_oracle.logpdf(z), prior.logpdf(z), posterior_oracle.entropy()
    for computed, expected in zip(results, oracles, strict=True):
        np.testing.assert_allclose(to_numpy(computed), expected, rtol=1e-9, atol=1e-9)


@every_scale
def test_low_precision(shape, dtype):
    """Own draws lie on the support after rounding, and their densities are right."""
    values = [to_numpy(tensor(x, dtype)).astype("float64") for x in arrays(*shape)]
    if shape[2] < min(shape[:2]):
        # Rounding would change the rank: integers.
        values[3] = np.round(4 * values[3][:, :1]) @ np.ones((1, shape[1]))
        shape = (*shape[:2], int(values[3].any()) if shape[2] else 0)
        values[3] = values[3] if shape[2] else np.zeros_like(values[3])
    values[1] = np.eye(shape[1])[::-1]  # a rotation that rounding leaves orthogonal

    def everything(*values):
        posterior = MultivariateSlashedNormal(*values)
        z = posterior.sample(5, seed=0)
        sums = posterior.log_prob(z), posterior.entropy(), posterior.kl_divergence()
        return posterior.mean, z, *sums, posterior.covariance

    tensors = at_once(everything)(*(tensor(x, dtype) for x in values))
    wide = "float64" if dtype == "float64" else "float32"
    dtypes = [keras.backend.standardize_dtype(x.dtype) for x in tensors]
    assert dtypes == [dtype] * 2 + [wide] * 4
    _, z, densities, entropy, rate, _ = (to_numpy(x) for x in tensors)
    tolerance = {"float64": 1e-9, "float32": 2e-4}[wide]
    mean, covariance = moments(*values)
    expected = scipy_normal(mean, covariance).entropy()
    np.testing.assert_allclose(entropy, expected, rtol=tolerance, atol=tolerance)
    assert np.isfinite(densities).all()
    if shape[2] == min(shape[:2]) and shape[0] <= shape[1]:
        expected = scipy_normal(mean, covariance).logpdf(z.astype("float64"))
        np.testing.assert_allclose(densities, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(rate, np.sum(values[0] ** 2), rtol=1e-6)


@pytest.mark.parametrize("shape", [s for s in SCALES if s[2] < s[0]], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_off_the_subspace(shape, dtype):
    """Like SciPy, return -inf if the difference exceeds rounding."""
    with dtype_enabled(dtype):
        values = arrays(*shape)
        if dtype == "float32" and 0 < shape[2] < min(shape[:2]):
            values = (*values[:3], np.round(4 * values[3][:, :1]) @ np.ones((1, shape[1])))
        posterior = distribution(values, dtype)
        z = to_numpy(posterior.sample(4, seed=0))
        normal = np.linalg.svd(values[3])[0][:, -1]
        off = tensor(z + 0.01 * normal, dtype)
        z = tensor(z, dtype)
        values = [tensor(x, dtype) for x in values]
        for index in range(2):
            assert np.isfinite(to_numpy(densities(*values, z)[index])).all()
            assert np.all(to_numpy(densities(*values, off)[index]) == -np.inf)


@every_scale
def test_kl(shape, float64):
    """|psi|^2 is the divergence of the z with full column rank, and else its upper bound."""
    for seed in range(3):
        values = arrays(*shape, seed=seed)
        rate = float(distribution(values).kl_divergence())
        np.testing.assert_allclose(rate, np.sum(values[0] ** 2), rtol=1e-14)
        mean, covariance = moments(*values)
        prior_covariance = values[3] @ values[3].T
        kl = gaussian_kl(mean, covariance, values[2], prior_covariance, shape[2])
        if shape[2] == shape[1]:
            np.testing.assert_allclose(kl, rate, rtol=1e-9)
        else:
            assert kl < rate - 1e-3


@pytest.mark.parametrize("shape", [(3, 3, 3), (5, 3, 2)], ids=str)
def test_moments_of_draws(shape):
    """Within six standard errors of 50,000 draws."""
    values, count = arrays(*shape), 50_000
    posterior = distribution(values, "float32")
    draws = posterior.sample(count, seed=3)
    z = to_numpy(draws).astype("float64")
    assert z.shape == (count, shape[0])
    mean, covariance = moments(*values)
    variances = np.diag(covariance)
    bound = 6.0 / np.sqrt(count)
    assert np.all(np.abs(z.mean(axis=0) - mean) <= bound * np.sqrt(variances))
    error = np.abs(np.cov(z.T) - covariance)
    assert np.all(error <= bound * np.sqrt(2.0 * np.outer(variances, variances)))
    if shape[2] == shape[1]:  # else rounding changes the rank
        entropy = -to_numpy(posterior.log_prob(draws)).mean()
        np.testing.assert_allclose(entropy, to_numpy(posterior.entropy()), atol=bound * 2.0)


def test_defaults_are_those_of_slashed_normal(float64):
    """Test no rotation and scale, a diagonal scale, and only a rotation."""
    amplitude, rotation, prior_mean, _ = arrays(3, 3, 3)
    diagonal, z = np.array([2.0, -0.5, 1e-9]), np.array([0.3, 1.0, prior_mean[2]])
    amplitude, prior_mean, z = (tensor(x, "float64") for x in (amplitude, prior_mean, z))
    for stddev in (None, tensor(diagonal, "float64")):
        scale = None if stddev is None else tensor(np.diag(diagonal), "float64")
        full = MultivariateSlashedNormal(amplitude, None, prior_mean, scale)
        independent = SlashedNormal(amplitude, prior_mean, stddev)
        for name in ("log_prob", "prior_log_prob"):
            one, other = getattr(full, name)(z), getattr(independent, name)(z)
            np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-7)
        for one, other in ((full.entropy(), independent.entropy()), (full.mean, independent.mean)):
            np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-12)
        deviations = np.sqrt(np.diag(to_numpy(full.covariance)))
        np.testing.assert_allclose(deviations, to_numpy(independent.stddev), rtol=1e-12)
    rotated = MultivariateSlashedNormal(amplitude, tensor(rotation, "float64"))
    oracle = scipy_normal(*moments(to_numpy(amplitude), rotation, 0.0, np.eye(3)))
    np.testing.assert_allclose(float(rotated.log_prob(z)), oracle.logpdf(to_numpy(z)), rtol=1e-9)


def test_small_singular_values_keep_their_digits(float64):
    """A scale whose square has no rank in float64: cond 1e12, by a known factorization."""
    amplitude, rotation, prior_mean, scale = arrays(5, 3, 3)
    left, _, right = np.linalg.svd(scale, full_matrices=False)
    values = np.array([1.0, 1e-6, 1e-12])
    posterior = distribution((amplitude, rotation, prior_mean, left * values @ right))
    stddev = relative(amplitude)[1]
    expected = np.sum(np.log(values)) + np.sum(np.log(stddev)) + 1.5 * (1 + np.log(2 * np.pi))
    np.testing.assert_allclose(float(posterior.entropy()), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 3), (5, 3, 3), (2, 3, 2)], ids=str)
def test_tiny_deviations(shape):
    """Deviations of e^-225 in float32, where their logarithms still count."""
    rng = np.random.default_rng(0)
    scale = np.linalg.qr(rng.normal(size=(5, 5)))[0][: shape[0], : shape[1]]
    amplitude = np.array([0.1, 0.2, 0.3, -15.0, -15.0, -15.0])
    posterior = MultivariateSlashedNormal(
        tensor(amplitude, "float32"), prior_scale=tensor(scale, "float32")
    )
    volume = 0.5 * np.linalg.slogdet(scale @ scale.T if shape[0] < 3 else scale.T @ scale)[1]
    # By stdplus(x) = e^-(x^2 + 1)/2 far to the left
    expected = shape[2] * (0.5 * (1 + np.log(2 * np.pi)) - 225.5) + volume
    np.testing.assert_allclose(float(posterior.entropy()), expected, rtol=1e-6)
    assert np.isfinite(to_numpy(posterior.log_prob(posterior.mean)))


def test_graded_deviations_of_a_wide_scale():
    """Deviations 1, 1e-5 and 1e-10 in float32: the second pivot keeps its digits."""
    with dtype_enabled("float64"):
        b = [0.0, -3.313, -4.747]
        values = arrays(2, 3, 2)
        values = (np.array([0.0, 0.0, 0.0, *np.roll(b, 1)]), *values[1:])
        expected = float(distribution(values).entropy())
    np.testing.assert_allclose(
        float(distribution(values, "float32").entropy()), expected, rtol=1e-5
    )


@pytest.mark.parametrize("shape", [(3, 3, 3), (5, 3, 3), (2, 3, 2), (3, 3, 2)], ids=str)
def test_gradients_by_differences(shape, float64):
    """Test log_prob and entropy in every argument, and in a singular S0 along its range."""
    values = arrays(*shape)
    z = values[2] + values[3] @ np.array([0.3, -0.2, 0.5])
    projection = values[3] @ np.linalg.pinv(values[3])
    rng, step = np.random.default_rng(2), 1e-6

    def both(vector):
        posterior = MultivariateSlashedNormal(*apart(vector, values))
        return keras.ops.stack([posterior.log_prob(z), posterior.entropy()])

    both = at_once(both)
    slope = to_numpy(gradient(both, joined(values, "float64")))
    for index in range(4):
        direction = rng.normal(size=values[index].shape)
        if index == 1:  # keeps a rotation orthogonal
            direction = values[1] @ (direction - direction.T)
        if index >= 2:  # keeps z on the support
            direction = projection @ direction
        if index == 3 and shape[2] < 3:  # and the rank
            direction = direction @ np.linalg.pinv(values[3]) @ values[3]
        directions = [np.zeros_like(x) for x in values]
        directions[index] = direction
        direction = joined(directions, "float64")
        ends = [both(joined(values, "float64") + sign * step * direction) for sign in (1, -1)]
        expected = np.sum(to_numpy(ends[0] - ends[1])) / (2.0 * step)
        computed = np.sum(slope * to_numpy(direction))
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["identity", "zero", "singular", "tall", "wide"])
def test_gradients_are_finite(kind):
    """Test log_prob, entropy and draws, also if singular values coincide or vanish."""
    scale = {
        "identity": np.eye(3),
        "zero": np.zeros((3, 3)),
        "singular": np.diag([1.0, 1.0, 0.0]),
        "tall": np.eye(5, 3),
        "wide": np.eye(2, 3),
    }[kind]
    amplitude = [[0, 0, 0, 0, 0, 0], [1e3, 0, 0, -15, 15, 0]]
    values = amplitude, np.eye(3), np.zeros(len(scale)), scale

    @at_once
    def function(vector):
        posterior = MultivariateSlashedNormal(*apart(vector, values))
        z = keras.ops.stop_gradient(posterior.sample(seed=1))
        sums = posterior.log_prob(z), posterior.prior_log_prob(z), posterior.entropy()
        return keras.ops.stack([*sums, posterior.sample(seed=1)[..., 0]])

    vector = joined(values, "float32")
    assert np.isfinite(to_numpy(function(vector))).all()
    assert np.isfinite(to_numpy(gradient(function, vector))).all()


@pytest.mark.parametrize(
    ("shapes", "z", "batch"),
    [
        (((6,), (3, 3), (2,), (2, 3)), (7, 2), ()),
        (((4, 6), (3, 3), (2,), (2, 3)), (4, 2), (4,)),
        (((4, 6), (4, 3, 3), (1,), (4, 2, 3)), (4, 7, 2), (4,)),  # as `sample` draws
        (((6,), (4, 1, 3, 3), (5, 2), (3, 3)), (4, 5, 3), (4, 5)),
        (((4, 6), (3, 3), (2,), (2, 3)), (7, 4, 2), (4,)),  # as NumPy broadcasts
    ],
)
def test_shapes_broadcast(shapes, z, batch):
    rng = np.random.default_rng(0)
    amplitude, rotation, mean, scale = (rng.normal(size=x) for x in shapes)
    size = scale.shape[-2]
    if shapes[2][-1] not in (1, size):
        mean = rng.normal(size=(*shapes[2][:-1], size))
    rotation = np.linalg.qr(rotation)[0]
    z = rng.normal(size=z)

    def everything(amplitude, rotation, mean, scale, z):
        posterior = MultivariateSlashedNormal(amplitude, rotation, mean, scale)
        draws = posterior.sample(seed=0), posterior.sample(2, seed=0)
        sums = posterior.log_prob(z), posterior.entropy(), posterior.kl_divergence()
        return posterior.mean, posterior.covariance, *draws, *sums

    arguments = (tensor(x, "float32") for x in (amplitude, rotation, mean, scale, z))
    values = (to_numpy(x) for x in at_once(everything)(*arguments))
    posterior_mean, covariance, draw, draws, computed, entropy, kl = values
    assert posterior_mean.shape == draw.shape == (*batch, size)
    assert draws.shape == (*batch, 2, size)
    assert covariance.shape == (*batch, size, size)
    assert entropy.shape == kl.shape == batch
    full = [
        np.broadcast_to(x, (*batch, *event)).reshape(-1, *event)
        for x, event in zip(
            (amplitude, rotation, mean, scale), ((6,), (3, 3), (size,), (size, 3)), strict=True
        )
    ]
    if z.ndim - 1 > len(batch) and z.shape[: len(batch)] != batch:
        z, computed = np.moveaxis(z, 0, len(batch)), np.moveaxis(computed, 0, len(batch))
    z = z.reshape(len(full[0]), -1, size)
    expected = [
        scipy_normal(*moments(*each)).logpdf(one) for *each, one in zip(*full, z, strict=True)
    ]
    np.testing.assert_allclose(
        computed.reshape(len(z), -1), np.reshape(expected, (len(z), -1)), rtol=1e-3
    )


@pytest.mark.parametrize("shape", [(5, 3, 3), (3, 3, 2), (2, 3, 2)], ids=str)
def test_compiled_equals_eager(shape):
    values = [tensor(x, "float32") for x in arrays(*shape)]
    if shape[2] < min(shape[:2]):
        values[3] = tensor([[1, 2, 0], [0, 1, 1], [1, 3, 1]], "float32")  # of rank 2
    z = MultivariateSlashedNormal(*values).sample(3, seed=0)

    def function(amplitude, rotation, prior_mean, scale, z):
        posterior = MultivariateSlashedNormal(amplitude, rotation, prior_mean, scale)
        return posterior.mean, posterior.covariance, posterior.entropy(), posterior.log_prob(z)

    for one, other in zip(compiled(function)(*values, z), function(*values, z), strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-4, atol=1e-4)
        assert np.isfinite(to_numpy(one)).all()


def test_functional_model():
    inputs = [keras.Input((6,)), keras.Input((3, 3)), keras.Input((5,)), keras.Input((5, 3))]
    posterior = MultivariateSlashedNormal(
        inputs[0], householder_rotation(inputs[1]), inputs[2], inputs[3]
    )
    outputs = [posterior.mean, posterior.covariance, posterior.log_prob(inputs[2])]
    outputs += [posterior.entropy(), posterior.kl_divergence()]
    assert [x.shape for x in outputs] == [(None, 5), (None, 5, 5), (None,), (None,), (None,)]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(2, *x.shape[1:])).astype("float32") for x in inputs]
    posterior = MultivariateSlashedNormal(values[0], householder_rotation(values[1]), *values[2:])
    expected = [posterior.mean, posterior.covariance, posterior.log_prob(values[2])]
    expected += [posterior.entropy(), posterior.kl_divergence()]
    for one, other in zip(keras.Model(inputs, outputs)(values), expected, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-4, atol=1e-5)


def test_draws_are_those_of_the_layer():
    values = [tensor(x, "float32") for x in arrays(5, 3, 3)]
    amplitude, rotation, prior_mean, scale = values
    layer = SlashedNormalSampling(seed=5, num_samples=3)
    expected = layer(amplitude[None], prior_mean=prior_mean, prior_scale=scale, rotation=rotation)
    z = MultivariateSlashedNormal(*values).sample(3, seed=ReplicaSeedGenerator(5))
    np.testing.assert_allclose(to_numpy(z), to_numpy(expected)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"amplitude": np.ones(5)}, r"shape \(\.\.\., 2K\).*Received"),
        ({"rotation": np.eye(2)}, r"`rotation` must be a matrix \(\.\.\., 3, 3\).*Received"),
        ({"rotation": np.ones((2, 3))}, r"`rotation` must be a matrix"),
        ({"prior_scale": np.ones((3, 2))}, r"`prior_scale` must be a matrix \(\.\.\., D, 3\)"),
        ({"prior_scale": np.ones(3)}, r"`prior_scale` must be a matrix.*Received"),
        ({"prior_mean": np.ones(2)}, r"`prior_mean` must have a last axis of length 3"),
        (
            {"prior_mean": np.ones(3), "prior_scale": np.ones((2, 3))},
            r"`prior_mean` must have a last axis of length 2",
        ),
        ({"rotation": np.ones((4, 3, 3))}, r"broadcast together.*rotation: \(4,\)"),
        ({"prior_scale": np.ones((4, 2, 3))}, r"broadcast together.*prior_scale: \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultivariateSlashedNormal(**{"amplitude": np.ones((5, 6)), **arguments})


def test_z_that_does_not_fit():
    posterior = MultivariateSlashedNormal(np.ones((5, 6)), prior_scale=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"`z` must have the shape \(\.\.\., 2\).*Received: z"):
        posterior.log_prob(np.ones((5, 3)))
