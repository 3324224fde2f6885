"""diagnose, against the closed forms of a linear VAE."""

import keras
import numpy as np
import pytest
from scipy.optimize import brentq

from keras_slashed.diagnostics import diagnose
from keras_slashed.distributions import SlashedNormal
from tests.keras_slashed.diagnostics.linear_vae import SQRT_2
from tests.keras_slashed.diagnostics.linear_vae import LinearVAE
from tests.keras_slashed.diagnostics.linear_vae import inverse_stdplus
from tests.support import BACKEND

MODEL = LinearVAE()
ARRAYS = ("rate", "gradient_rate", "residual", "standard_error", "variance", "price")


def squares(a, b):
    """The mean over instances of a^2 + b^2, in each latent dimension."""
    return np.mean(a**2 + b**2, axis=0)


def test_at_the_optimum():
    """Two dimensions carry what the eigenvalues say, two are collapsed; the equation holds."""
    result = diagnose(MODEL.encoder(), MODEL.loss, MODEL.x, num_samples=128, seed=1)
    rates = 0.5 * np.log([9.0, 3.0, 1.0, 1.0])  # 1/2 log(eigenvalue / s^2)
    np.testing.assert_allclose(result.rate, rates, atol=1e-5)
    assert (np.abs(result.residual) <= 4 * result.standard_error).all()
    assert (result.standard_error < 0.003).all()
    np.testing.assert_allclose(result.gradient_rate, rates, atol=0.03)
    np.testing.assert_allclose(result.gradient_norm, 2 * np.sqrt(rates), atol=0.03)
    np.testing.assert_allclose(result.variance, [8 / 9, 2 / 3, 0.0, 0.0], atol=1e-5)
    assert result.collapsed.tolist() == [False, False, True, True]
    assert result.holds.all()
    assert not result.fails.any()
    off = (MODEL.x - MODEL.mean) @ (np.eye(5) - MODEL.matrix @ MODEL.to_mean).T
    loss = np.mean(np.sum(off**2, axis=1)) + np.sum(MODEL.matrix**2 @ MODEL.stddev**2)
    assert result.loss == pytest.approx(loss / 2, rel=0.01)


@pytest.mark.parametrize(("mean_scale", "stddev_scale"), [(0.5, 1.3), (1.1, 0.7)])
def test_away_from_it(mean_scale, stddev_scale):
    off, beta = (mean_scale, stddev_scale), 0.8
    result = diagnose(MODEL.encoder(*off), MODEL.loss, MODEL.x, beta=beta, num_samples=256, seed=0)
    (a, b), (by_a, by_b) = MODEL.psi(*off), MODEL.gradient(*off)
    residual = squares(a + by_a / (2 * beta), b + by_b / (2 * beta))
    np.testing.assert_allclose(result.rate, squares(a, b), rtol=1e-4)
    np.testing.assert_allclose(result.residual, residual, rtol=0.03)
    gradient = squares(by_a, by_b)
    np.testing.assert_allclose(result.gradient_rate, gradient / (2 * beta) ** 2, rtol=0.03)
    np.testing.assert_allclose(result.gradient_norm, np.sqrt(gradient), rtol=0.02)
    price = -np.mean(a * by_a + b * by_b, axis=0) / (2 * squares(a, b))
    np.testing.assert_allclose(result.price, price, rtol=0.03, atol=1e-6)
    # The b of a collapsed dimension is paid for, and nothing asks for it.
    assert result.fails.all()


@pytest.mark.parametrize("num_samples", [4, 6])
def test_no_bias_by_few_draws(num_samples):
    """The variance of the estimated gradient would be 20 standard errors and more."""
    pairs, copies = num_samples // 2, 20
    x = np.tile(MODEL.x, (copies, 1))
    result = diagnose(
        MODEL.encoder(), MODEL.loss, x, num_samples=num_samples, batch_size=512, seed=1
    )
    # The gradient by a has no variance, as pairs are. That by b_k is
    # sqrt(2) stdplus' |W_k|^2 stddev_k eps_k^2, and the variance of eps^2 is 2.
    variance = 2 * MODEL.gradient()[1][0, :2] ** 2 / 4
    error = variance * np.sqrt(2 / (pairs * (pairs - 1) * len(x)))
    np.testing.assert_allclose(result.standard_error[:2], error, rtol=0.25)
    assert (np.abs(result.residual[:2]) < 4 * error).all()
    assert (variance / pairs > 20 * error).all()


def test_estimated_beta():
    """The optimum for a weight of 0.6: the same number is the price of a nat."""
    model = LinearVAE(beta=0.6)
    result = diagnose(model.encoder(), model.loss, model.x, beta=None, num_samples=128, seed=0)
    assert result.beta == pytest.approx(0.6, rel=0.01)
    np.testing.assert_allclose(result.price[:2], 0.6, rtol=0.02)
    assert np.isnan(result.price[2:]).all()
    assert result.holds.all()
    wrong = diagnose(model.encoder(), model.loss, model.x, beta=1.2, num_samples=32, seed=1)
    # psi - psi / 2
    np.testing.assert_allclose(wrong.residual, wrong.rate / 4, rtol=0.05)
    assert wrong.fails.tolist() == [True, True, False, False]


def test_sizes_do_not_matter():
    """The draws of an instance depend on the seed and its place alone."""
    off = MODEL.encoder(0.5, 1.3)
    results = [
        diagnose(off, MODEL.loss, MODEL.x[:50], None, 1.0, 12, batch, chunk, seed)
        for batch, chunk, seed in ((50, 12, 3), (32, 5, 3), (7, 1, 3), (32, 5, 4))
    ]
    for name in ARRAYS:
        same, *others, other_seed = (getattr(result, name) for result in results)
        for other in others:
            np.testing.assert_allclose(other, same, rtol=1e-4, atol=1e-6)
        is_random = name not in ("rate", "variance")
        assert (np.abs(other_seed - same).max() > 1e-3) == is_random
    assert results[1].loss == pytest.approx(results[0].loss, rel=1e-5)


def test_memory_is_that_of_a_chunk():
    """One shape, whatever the data and the number of draws: so one compilation as well."""
    shapes = []

    def loss(x, z):
        shapes.append((tuple(x.shape), tuple(z.shape)))
        return MODEL.loss(x, z)

    diagnose(MODEL.encoder(), loss, MODEL.x[:20], num_samples=60, batch_size=8, chunk_size=4)
    assert set(shapes) == {((32, 5), (32, 4))}
    assert BACKEND == "torch" or len(shapes) == 1


def test_targets_and_nested_data():
    """The encoder gets x alone, and the loss y alone, as they are."""
    x = {"halves": (MODEL.x[:, :2], MODEL.x[:, 2:])}
    y = (MODEL.x, np.arange(len(MODEL.x)))

    def encoder(x):
        return MODEL.encoder()(keras.ops.concatenate(x["halves"], axis=-1))

    def loss(y, z):
        target, index = y
        assert "int" in keras.backend.standardize_dtype(index.dtype)
        return MODEL.loss(target, z)

    plain = diagnose(MODEL.encoder(), MODEL.loss, MODEL.x, num_samples=4, seed=0)
    nested = diagnose(encoder, loss, x, y, num_samples=4, seed=0)
    np.testing.assert_allclose(nested.residual, plain.residual, atol=1e-5)
    batches = [(MODEL.x[:100], None), (MODEL.x[100:], None)]
    streamed = diagnose(MODEL.encoder(), MODEL.loss, batches, num_samples=4, seed=0)
    np.testing.assert_allclose(streamed.residual, plain.residual, atol=1e-5)
    assert streamed.num_instances == len(MODEL.x)


def test_positions():
    """Amplitudes (n, T, 2K): means over positions, and errors from instances alone."""
    x = np.repeat(MODEL.x[:, None], 3, axis=1)
    off = MODEL.encoder(0.5, 1.3)

    def loss(x, z):
        assert tuple(z.shape[1:]) == (3, 4)
        flat = keras.ops.reshape(x, (-1, 5)), keras.ops.reshape(z, (-1, 4))
        return keras.ops.sum(keras.ops.reshape(MODEL.loss(*flat), (-1, 3)), axis=-1)

    result = diagnose(off, loss, x, num_samples=128, seed=0)
    flat = diagnose(off, MODEL.loss, MODEL.x, num_samples=128, seed=0)
    np.testing.assert_allclose(result.rate, flat.rate, rtol=1e-5)
    np.testing.assert_allclose(result.variance, flat.variance, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(result.residual, flat.residual, rtol=0.05)
    # The positions of an instance are alike here: three of them say no more than one.
    np.testing.assert_allclose(result.standard_error, flat.standard_error, rtol=0.2, atol=1e-6)


def test_narrow_amplitudes_and_losses():
    """All but the loss is in float32."""
    encoder = MODEL.encoder(0.5, 1.3)
    narrow = diagnose(
        lambda x: keras.ops.cast(encoder(x), "float16"),
        lambda x, z: keras.ops.cast(MODEL.loss(x, z), "float16"),
        MODEL.x,
        seed=0,
    )
    wide = diagnose(encoder, MODEL.loss, MODEL.x, seed=0)
    np.testing.assert_allclose(narrow.residual, wide.residual, rtol=0.01)


def test_one_instance_decides_nothing():
    result = diagnose(MODEL.encoder(), MODEL.loss, MODEL.x[:1], seed=0)
    assert np.isnan(result.standard_error).all()
    assert not (result.holds | result.fails).any()


def nan_at_the_last(x):
    return keras.ops.where(x[:, :1] == MODEL.x[-1, 0], np.nan, MODEL.encoder()(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": 0.0}, "`beta` must be a positive.*beta=0.0"),
        ({"beta": 1e-300}, "`beta` must be a positive.*beta=1e-300"),
        ({"num_samples": 2}, "`num_samples` must be an even integer of at least 4.*2"),
        ({"num_samples": 5}, "`num_samples` must be an even integer of at least 4.*5"),
        ({"chunk_size": 0}, "`chunk_size` must be a positive integer.*0"),
        ({"batch_size": 1.5}, "`batch_size` must be a positive integer.*1.5"),
        ({"threshold": -1.0}, "`threshold` must be a finite number, 0 or more"),
        ({"tolerance": np.nan}, "`tolerance` must be a finite number, 0 or more"),
        ({"x": MODEL.x[:0]}, "must have at least one instance"),
        ({"x": [MODEL.x], "y": "labels"}, "`x` and `y` must be arrays.*y of <class 'str'>"),
        ({"x": iter([MODEL.x]), "y": MODEL.x}, "`x` and `y` must be arrays.*x of"),
        ({"y": MODEL.x[:7]}, "x of length 256, y of length 7"),
        ({"encoder": lambda x: x}, r"amplitude must have the shape \(..., 2K\).*5\)"),
        ({"encoder": lambda x: MODEL.encoder()(x)[0]}, r"\(batch, ..., 2K\).*32.*\(8,\)"),
        ({"encoder": lambda x: SlashedNormal(MODEL.encoder()(x))}, "Received: a SlashedNormal"),
        ({"loss": lambda x, z: z}, r"one number for each row of z, of shape \(512, 4\)"),
        ({"encoder": nan_at_the_last}, "encoder's amplitude must be finite.*8 of 256"),
        ({"loss": lambda x, z: np.inf * z[:, 0]}, "The loss must be finite"),
        ({"loss": lambda x, z: keras.ops.sqrt(0.0 * z[:, 0])}, "respect to the amplitude must be"),
        ({"beta": None, "encoder": lambda x: 0.0 * MODEL.encoder()(x)}, "a rate of 0 nats"),
        ({"beta": None, "loss": lambda x, z: -MODEL.loss(x, z)}, "must be positive.*=-"),
    ],
)
def test_wrong_arguments(arguments, message):
    arguments = {"encoder": MODEL.encoder(), "loss": MODEL.loss, "x": MODEL.x, **arguments}
    with pytest.raises(ValueError, match=message):
        diagnose(**arguments)


def test_the_closed_form():
    """The gradient of the oracle equals finite differences of its loss."""
    scales, step = (0.5, 1.3), 1e-5

    def loss(a, b):
        stddev = [brentq_stdplus(value) for value in SQRT_2 * b]
        off = MODEL.x[0] - MODEL.mean - MODEL.matrix @ (SQRT_2 * a)
        return 0.5 * np.sum(off**2) + 0.5 * np.sum(MODEL.matrix**2 @ np.square(stddev))

    a, b = (values[0] for values in MODEL.psi(*scales))
    by_a, by_b = (values[0] for values in MODEL.gradient(*scales))
    for k, e in enumerate(np.eye(4) * step):
        difference = (loss(a + e, b) - loss(a - e, b)) / (2 * step)
        assert by_a[k] == pytest.approx(difference, abs=1e-6)
        difference = (loss(a, b + e) - loss(a, b - e)) / (2 * step)
        assert by_b[k] == pytest.approx(difference, abs=1e-6)


def brentq_stdplus(x):
    return brentq(lambda y: inverse_stdplus(y) - x, 1e-9, 10.0, xtol=1e-14)


def test_threshold_and_tolerance():
    arguments = {"num_samples": 32, "seed": 1}
    plain = diagnose(MODEL.encoder(), MODEL.loss, MODEL.x, **arguments)
    other = diagnose(
        MODEL.encoder(), MODEL.loss, MODEL.x, threshold=0.8, tolerance=0.5, **arguments
    )
    assert plain.collapsed.tolist() == [False, False, True, True]
    assert other.collapsed.tolist() == [False, True, True, True]
    np.testing.assert_allclose(other.allowed, np.maximum(0.5 * plain.rate, 0.4))
