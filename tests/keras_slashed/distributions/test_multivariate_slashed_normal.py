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
from tests.support import assert_some_inputs_may_be_symbolic
from tests.support import at_once
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy

# (D, K, rank): square, tall, wide; of full rank and not. Few shapes, which JAX compiles.
SCALES = [(3, 3, 3), (5, 3, 3), (2, 3, 2), (3, 3, 2), (5, 3, 1), (2, 3, 1), (3, 3, 0)]
every_scale = pytest.mark.parametrize("shape", SCALES, ids=str)
DRAWS = 6  # one number of them, which JAX compiles


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


@at_once
def _everything(amplitude, rotation, prior_mean, scale, z):
    posterior = MultivariateSlashedNormal(amplitude, rotation, prior_mean, scale)
    return {
        "mean": posterior.mean,
        "scale": posterior.scale,
        "covariance": posterior.covariance,
        "log_prob": posterior.log_prob(z),
        "prior_log_prob": posterior.prior_log_prob(z),
        "entropy": posterior.entropy(),
        "kl": posterior.kl_divergence(),
        "draws": posterior.sample(DRAWS, seed=0),
    }


def everything(values, z=None, dtype="float64"):
    """Return all that a distribution has, the densities at z: compiled once a shape and dtype."""
    z = np.zeros((DRAWS, len(values[2]))) if z is None else z
    return _everything(*(tensor(x, dtype) for x in (*values, z)))


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


def with_slope(function):
    """Return what computes a function and its gradient: one compilation for both."""
    return at_once(lambda vector: (function(vector), gradient(function, vector)))


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
    mean, covariance = moments(*values)
    z = values[2] + np.random.default_rng(1).normal(size=(DRAWS, shape[1])) @ values[3].T
    computed = {name: to_numpy(x) for name, x in everything(values, z).items()}
    np.testing.assert_allclose(computed["mean"], mean, rtol=1e-12, atol=1e-14)
    scale = computed["scale"]
    for square in (computed["covariance"], scale @ scale.T):
        np.testing.assert_allclose(square, covariance, rtol=1e-12, atol=1e-12)
    if shape[2] == 0:  # SciPy's point is nowhere
        assert np.all(computed["log_prob"] == 0.0)
        assert computed["entropy"] == 0.0
        return
    prior = scipy_normal(values[2], values[3] @ values[3].T)
    posterior = scipy_normal(mean, covariance)
    for name, expected in (
        ("log_prob", posterior.logpdf(z)),
        ("prior_log_prob", prior.logpdf(z)),
        ("entropy", posterior.entropy()),
    ):
        np.testing.assert_allclose(computed[name], expected, rtol=1e-9, atol=1e-9)


def shapes_and_dtypes():
    """Return all pairs. By day float16 and bfloat16, which compute in float32, have two shapes."""
    for dtype in FLOAT_DTYPES:
        for shape in SCALES:
            by_day = dtype in ("float64", "float32") or shape in ((3, 3, 3), (3, 3, 2))
            marks = () if by_day else pytest.mark.nightly
            yield pytest.param(shape, dtype, marks=marks, id=f"{shape}-{dtype}")


@pytest.mark.parametrize(("shape", "dtype"), [*shapes_and_dtypes()])
def test_low_precision(shape, dtype):
    """Own draws lie on the support after rounding, and their densities are right."""
    with dtype_enabled(dtype):
        check_low_precision(shape, dtype)


def check_low_precision(shape, dtype):
    values = [to_numpy(tensor(x, dtype)).astype("float64") for x in arrays(*shape)]
    if shape[2] < min(shape[:2]):
        # Rounding would change the rank: integers.
        values[3] = np.round(4 * values[3][:, :1]) @ np.ones((1, shape[1]))
        shape = (*shape[:2], int(values[3].any()) if shape[2] else 0)
        values[3] = values[3] if shape[2] else np.zeros_like(values[3])
    values[1] = np.eye(shape[1])[::-1]  # a rotation that rounding leaves orthogonal
    z = to_numpy(everything(values, dtype=dtype)["draws"]).astype("float64")
    tensors = everything(values, z, dtype)
    wide = "float64" if dtype == "float64" else "float32"
    for name, computed in tensors.items():
        expected = dtype if name in ("mean", "draws") else wide
        assert keras.backend.standardize_dtype(computed.dtype) == expected, name
    computed = {name: to_numpy(x) for name, x in tensors.items()}
    tolerance = {"float64": 1e-9, "float32": 2e-4}[wide]
    mean, covariance = moments(*values)
    expected = scipy_normal(mean, covariance).entropy()
    np.testing.assert_allclose(computed["entropy"], expected, rtol=tolerance, atol=tolerance)
    assert np.isfinite(computed["log_prob"]).all()
    if shape[2] == min(shape[:2]) and shape[0] <= shape[1]:
        expected = scipy_normal(mean, covariance).logpdf(z)
        np.testing.assert_allclose(computed["log_prob"], expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(computed["kl"], np.sum(values[0] ** 2), rtol=1e-6)


@pytest.mark.parametrize("shape", [s for s in SCALES if s[2] < s[0]], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_off_the_subspace(shape, dtype):
    """Like SciPy, return -inf if the difference exceeds rounding."""
    with dtype_enabled(dtype):
        values = arrays(*shape)
        if dtype == "float32" and 0 < shape[2] < min(shape[:2]):
            values = (*values[:3], np.round(4 * values[3][:, :1]) @ np.ones((1, shape[1])))
        z = to_numpy(everything(values, dtype=dtype)["draws"])
        normal = np.linalg.svd(values[3])[0][:, -1]
        on, off = (everything(values, each, dtype) for each in (z, z + 0.01 * normal))
        for name in ("log_prob", "prior_log_prob"):
            assert np.isfinite(to_numpy(on[name])).all()
            assert np.all(to_numpy(off[name]) == -np.inf)


@every_scale
def test_kl(shape, float64):
    """|psi|^2 is the divergence of the z with full column rank, and else its upper bound."""
    for seed in range(3):
        values = arrays(*shape, seed=seed)
        rate = float(everything(values)["kl"])
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

    def draws_and_entropies(*values):
        posterior = MultivariateSlashedNormal(*values)
        draws = posterior.sample(count, seed=3)
        return draws, posterior.log_prob(draws), posterior.entropy()

    tensors = at_once(draws_and_entropies)(*(tensor(x, "float32") for x in values))
    z, log_densities, entropy = (to_numpy(x) for x in tensors)
    z = z.astype("float64")
    assert z.shape == (count, shape[0])
    mean, covariance = moments(*values)
    variances = np.diag(covariance)
    bound = 6.0 / np.sqrt(count)
    assert np.all(np.abs(z.mean(axis=0) - mean) <= bound * np.sqrt(variances))
    error = np.abs(np.cov(z.T) - covariance)
    assert np.all(error <= bound * np.sqrt(2.0 * np.outer(variances, variances)))
    if shape[2] == shape[1]:  # else rounding changes the rank
        np.testing.assert_allclose(-log_densities.mean(), entropy, atol=bound * 2.0)


def test_defaults_are_those_of_slashed_normal(float64):
    """Test no rotation and scale, a diagonal scale, and only a rotation."""
    amplitude, rotation, prior_mean, _ = arrays(3, 3, 3)
    diagonal, z = np.array([2.0, -0.5, 1e-9]), np.array([0.3, 1.0, prior_mean[2]])

    def results(posterior, spread, z):
        densities = posterior.log_prob(z), posterior.prior_log_prob(z)
        return *densities, posterior.entropy(), posterior.mean, getattr(posterior, spread)

    @at_once
    def both(amplitude, prior_mean, stddev, scale, rotation, z):
        full = MultivariateSlashedNormal(amplitude, None, prior_mean, scale)
        independent = SlashedNormal(amplitude, prior_mean, stddev)
        rotated = MultivariateSlashedNormal(amplitude, rotation).log_prob(z)
        return results(full, "covariance", z), results(independent, "stddev", z), rotated

    oracle = scipy_normal(*moments(amplitude, rotation, 0.0, np.eye(3)))
    for stddev, scale in ((None, None), (diagonal, np.diag(diagonal))):
        arguments = (amplitude, prior_mean, stddev, scale, rotation, z)
        full, independent, rotated = both(
            *(None if x is None else tensor(x, "float64") for x in arguments)
        )
        *full, covariance = (to_numpy(x) for x in full)
        full.append(np.sqrt(np.diag(covariance)))
        for one, other, rtol in zip(full, independent, 2 * [1e-7] + 3 * [1e-12], strict=True):
            np.testing.assert_allclose(one, to_numpy(other), rtol=rtol)
        np.testing.assert_allclose(float(rotated), oracle.logpdf(z), rtol=1e-9)


def test_small_singular_values_keep_their_digits(float64):
    """A scale whose square has no rank in float64: cond 1e12, by a known factorization."""
    amplitude, rotation, prior_mean, scale = arrays(5, 3, 3)
    left, _, right = np.linalg.svd(scale, full_matrices=False)
    values = np.array([1.0, 1e-6, 1e-12])
    results = everything((amplitude, rotation, prior_mean, left * values @ right))
    stddev = relative(amplitude)[1]
    expected = np.sum(np.log(values)) + np.sum(np.log(stddev)) + 1.5 * (1 + np.log(2 * np.pi))
    np.testing.assert_allclose(float(results["entropy"]), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 3), (5, 3, 3), (2, 3, 2)], ids=str)
def test_tiny_deviations(shape):
    """Deviations of e^-225 in float32, where their logarithms still count."""
    rng = np.random.default_rng(0)
    scale = np.linalg.qr(rng.normal(size=(5, 5)))[0][: shape[0], : shape[1]]
    amplitude = np.array([0.1, 0.2, 0.3, -15.0, -15.0, -15.0])

    @at_once
    def entropy_and_density(amplitude, scale):
        posterior = MultivariateSlashedNormal(amplitude, prior_scale=scale)
        return posterior.entropy(), posterior.log_prob(posterior.mean)

    entropy, density = entropy_and_density(tensor(amplitude, "float32"), tensor(scale, "float32"))
    volume = 0.5 * np.linalg.slogdet(scale @ scale.T if shape[0] < 3 else scale.T @ scale)[1]
    # By stdplus(x) = e^-(x^2 + 1)/2 far to the left
    expected = shape[2] * (0.5 * (1 + np.log(2 * np.pi)) - 225.5) + volume
    np.testing.assert_allclose(float(entropy), expected, rtol=1e-6)
    assert np.isfinite(to_numpy(density))


def test_graded_deviations_of_a_wide_scale():
    """Deviations 1, 1e-5 and 1e-10 in float32: the second pivot keeps its digits."""
    with dtype_enabled("float64"):
        b = [0.0, -3.313, -4.747]
        values = arrays(2, 3, 2)
        values = (np.array([0.0, 0.0, 0.0, *np.roll(b, 1)]), *values[1:])
        expected = float(everything(values)["entropy"])
    computed = float(everything(values, dtype="float32")["entropy"])
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


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

    function = with_slope(both)
    slope = to_numpy(function(joined(values, "float64"))[1])
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
        ends = [
            function(joined(values, "float64") + sign * step * direction)[0] for sign in (1, -1)
        ]
        expected = np.sum(to_numpy(ends[0] - ends[1])) / (2.0 * step)
        computed = np.sum(slope * to_numpy(direction))
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


@with_slope
def _densities_and_draws(vector):
    """Of one vector of two amplitudes with K = 3, of rotation, prior mean and scale (D, 3)."""
    rows = (vector.shape[0] - 21) // 4
    shapes = [np.zeros(shape) for shape in ((2, 6), (3, 3), (rows,), (rows, 3))]
    posterior = MultivariateSlashedNormal(*apart(vector, shapes))
    z = keras.ops.stop_gradient(posterior.sample(seed=1))
    sums = posterior.log_prob(z), posterior.prior_log_prob(z), posterior.entropy()
    return keras.ops.stack([*sums, posterior.sample(seed=1)[..., 0]])


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
    for computed in _densities_and_draws(joined(values, "float32")):
        assert np.isfinite(to_numpy(computed)).all()


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

    def shapes_and_densities(amplitude, rotation, mean, scale, z):
        posterior = MultivariateSlashedNormal(amplitude, rotation, mean, scale)
        draws = posterior.sample(seed=0), posterior.sample(2, seed=0)
        sums = posterior.log_prob(z), posterior.entropy(), posterior.kl_divergence()
        return posterior.mean, posterior.covariance, *draws, *sums

    arguments = (tensor(x, "float32") for x in (amplitude, rotation, mean, scale, z))
    values = (to_numpy(x) for x in at_once(shapes_and_densities)(*arguments))
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


# By day the one that has both decompositions: JAX compiles eager operations one by one.
AT_NIGHT = [pytest.param(s, marks=pytest.mark.nightly) for s in ((5, 3, 3), (2, 3, 2))]


@pytest.mark.parametrize("shape", [(3, 3, 2), *AT_NIGHT], ids=str)
def test_compiled_equals_eager(shape):
    values = [*arrays(*shape)]
    if shape[2] < min(shape[:2]):
        values[3] = np.array([[1, 2, 0], [0, 1, 1], [1, 3, 1]])  # of rank 2
    z = everything(values, dtype="float32")["draws"]
    values = [tensor(x, "float32") for x in values]

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

    def function(amplitude, directions, prior_mean, scale):
        rotation = householder_rotation(directions)
        posterior = MultivariateSlashedNormal(amplitude, rotation, prior_mean, scale)
        results = posterior.mean, posterior.covariance, posterior.log_prob(prior_mean)
        return *results, posterior.entropy(), posterior.kl_divergence()

    model = keras.Model(inputs, outputs)
    computed = at_once(lambda *values: model(list(values)))(*values)
    for one, other in zip(computed, at_once(function)(*values), strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("has_scale", [True, False])
def test_some_inputs_are_symbolic(has_scale):
    amplitude, rotation, prior_mean, scale = (tensor(x, "float32") for x in arrays(3, 3, 2))
    amplitude, z = amplitude[None], prior_mean[None]  # the prior mean is on the range of S0

    def function(amplitude, rotation, z, *scale):
        posterior = MultivariateSlashedNormal(amplitude, rotation, prior_mean, *scale)
        values = posterior.mean, posterior.covariance, posterior.entropy(), posterior.log_prob(z)
        return *values, posterior.kl_divergence()

    assert_some_inputs_may_be_symbolic(function, amplitude, rotation, z, *[scale][:has_scale])


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


def test_the_rank_of_a_scale_is_that_of_numpy():
    with dtype_enabled("float64"):
        scale = np.diag([1.0, 1.0, 1.0, 3 * np.finfo("float64").eps])
        assert np.linalg.matrix_rank(scale) == 3
        posterior = MultivariateSlashedNormal(tensor(np.zeros(8), "float64"), prior_scale=scale)
        expected = 1.5 * (1 + np.log(2 * np.pi))
        np.testing.assert_allclose(to_numpy(posterior.entropy()), expected, rtol=1e-12)


def test_draws_near_0_of_large_amplitudes_are_on_the_range():
    """The rounding of 700 + (-700)."""
    scale = np.float32([[1.0, 1.0], [3.0, 3.0]])
    posterior = MultivariateSlashedNormal(np.float32([700, -700, 0, 0]), prior_scale=scale)
    assert np.isfinite(to_numpy(posterior.log_prob(posterior.sample(50, seed=0)))).all()


def test_small_deviations_of_a_wide_scale_in_float64():
    """Of e^-100 relative to the largest."""
    with dtype_enabled("float64"):
        b = -np.sqrt(100.0 - 0.5)  # log stddev = -(b^2 + 1/2)
        amplitude = tensor([0.0, 0.0, 0.0, 0.0, b, b], "float64")
        scale = tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], "float64")
        found = MultivariateSlashedNormal(amplitude, prior_scale=scale).entropy()
        expected = 1 + np.log(2 * np.pi) - 100.0 + 0.5 * np.log(2.0)
        np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [np.ones((0, 3)), keras.KerasTensor((None, 3))])
def test_a_prior_scale_without_known_rows(scale):
    with pytest.raises(ValueError, match="`prior_scale` must be a matrix"):
        MultivariateSlashedNormal(np.ones(6), prior_scale=scale)


@pytest.mark.parametrize(("dtype", "epsilon"), [("float16", 2.0**-10), ("bfloat16", 2.0**-7)])
def test_the_rounding_of_a_narrow_draw_is_on_the_range(dtype, epsilon):
    """Of half the distance to the next number, the most there is."""
    prior_mean = np.float32([1.0 + 0.49 * epsilon, 0.0])
    amplitude = tensor(np.zeros(4), dtype)
    posterior = MultivariateSlashedNormal(amplitude, None, prior_mean, np.diag([0.0, 0.01]))
    assert np.isfinite(to_numpy(posterior.log_prob(posterior.sample(seed=0))))
