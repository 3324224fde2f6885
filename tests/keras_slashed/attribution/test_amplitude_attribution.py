"""`amplitude_attribution` against a SmoothGrad of the test's own, closed forms, and itself."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_slashed.attribution import amplitude_attribution
from keras_slashed.layers import FixedRateVIB

rng = np.random.default_rng(0)
X = rng.normal(size=(5, 6)).astype("float32")
Y = np.array([0, 1, 2, 0, 1])
HIDDEN = rng.normal(size=(6, 8)).astype("float32") / 2
OUTPUT = rng.normal(size=(8, 3)).astype("float32")


def make_model(probabilities=False, extra=()):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            *extra,
            keras.layers.Dense(8, activation="tanh", use_bias=False),
            keras.layers.Dense(3, use_bias=False, activation="softmax" if probabilities else None),
        ]
    )
    model.layers[-2].set_weights([HIDDEN])
    model.layers[-1].set_weights([OUTPUT])
    return model


def crossentropy_gradient(z, y):
    """Return the gradient of the cross-entropy by the input, worked out by hand."""
    hidden = np.tanh(z @ HIDDEN)
    scores = hidden @ OUTPUT
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return ((p - np.eye(3)[y]) @ OUTPUT.T * (1 - hidden**2)) @ HIDDEN.T


def draws(seed, count, shape=(6,)):
    """Return the noise that the function documents: NumPy's, by seed and instance."""
    words = [*b"keras_slashed.amplitude_attribution", seed]
    seed = np.random.SeedSequence(words).generate_state(1)[0] >> 1
    return [np.random.default_rng([seed, i]).standard_normal((count, *shape)) for i in range(5)]


def test_one_step_is_smoothgrad():
    beta, noise = 0.3, 0.7
    result = amplitude_attribution(
        make_model(), X, Y, beta, steps=1, num_samples=20, noise=noise, seed=3, damping=1.0
    )
    for i, eps in enumerate(draws(3, 20)):
        gradients = crossentropy_gradient(X[i] + noise * eps, Y[i])
        smoothgrad = gradients.mean(axis=0)
        a, b = np.split(result.amplitude[i], 2)
        np.testing.assert_allclose(a, -noise / (np.sqrt(2) * beta) * smoothgrad, atol=1e-5)
        # stdplus'(0) = 1 / sqrt(2)
        np.testing.assert_allclose(b, -noise / (2 * beta) * (gradients * eps).mean(0), atol=1e-5)


@pytest.mark.parametrize("damping", [None, 0.5])
def test_quadratic_loss_in_closed_form(damping):
    """For c/2 |z - t|^2: a = -sqrt(2) c noise (x - t) / (2 beta + 2 c noise^2), and so on."""
    beta, noise, c = 0.5, 0.8, 1.5
    t = np.full((5, 6), 0.25, "float32")
    result = amplitude_attribution(
        lambda z: z,
        X,
        t,
        beta,
        steps=40,
        num_samples=4000,
        chunk_size=2000,
        noise=noise,
        seed=0,
        damping=damping,
        loss=lambda t, z: c / 2 * ops.sum((z - t) ** 2, axis=-1),
    )
    assert np.all(result.residual < 1e-3)
    a, b = np.split(result.amplitude, 2, axis=-1)
    expected = -np.sqrt(2) * c * noise * (X - t) / (2 * beta + 2 * c * noise**2)
    np.testing.assert_allclose(a, expected, atol=0.04)  # of 4,000 draws, two standard errors
    variance = beta / (beta + c * noise**2)
    kl = (variance - 1 - np.log(variance)) / 2
    np.testing.assert_allclose(b, -np.sqrt(kl), atol=0.04)
    np.testing.assert_allclose(result.nats, a**2 + b**2, rtol=1e-6)
    np.testing.assert_allclose(result.rate, result.nats.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(result.bits, result.nats / np.log(2), rtol=1e-6)
    before = c / 2 * ((X - t) ** 2 + noise**2).sum(axis=1)
    np.testing.assert_allclose(result.noise_loss, before, rtol=0.05)
    after = c / 2 * ((X - t + noise * np.sqrt(2) * expected) ** 2 + noise**2 * variance).sum(axis=1)
    np.testing.assert_allclose(result.loss, after, rtol=0.05)


def objective(amplitude, beta, noise, eps, x, y):
    """Return the objective by hand, with stdplus by bisection of log(s^2) - s^2 = -2 b^2 - 1."""
    a, b = np.split(amplitude.astype("float64"), 2)
    low, high = np.where(b > 0, 1.0, 1e-12), np.where(b > 0, 1e3, 1.0)
    for _ in range(200):
        s = (low + high) / 2
        kl = (s**2 - 1 - np.log(s**2)) / 2
        too_far = (kl > b**2) == (b > 0)
        low, high = np.where(too_far, low, s), np.where(too_far, s, high)
    z = x + noise * (np.sqrt(2) * a + s * eps)
    scores = np.tanh(z @ HIDDEN) @ OUTPUT
    losses = np.log(np.exp(scores).sum(axis=-1)) - scores[:, y]
    return losses.mean() + beta * np.sum(a**2 + b**2)


def test_it_is_a_minimum():
    """No amplitude nearby has a lower objective, computed in NumPy with the same draws."""
    beta, noise = 0.05, 1.0
    result = amplitude_attribution(
        make_model(), X, Y, beta, steps=60, num_samples=10, noise=noise, seed=1
    )
    assert np.all(result.residual < 1e-3)
    assert np.all(result.loss < result.noise_loss)
    directions = np.random.default_rng(5).normal(size=(10, 12))
    for i, eps in enumerate(draws(1, 10)):
        reached = objective(result.amplitude[i], beta, noise, eps, X[i], Y[i])
        expected = result.loss[i] + beta * result.rate[i]
        np.testing.assert_allclose(reached, expected, rtol=1e-4)
        assert reached < objective(np.zeros(12), beta, noise, eps, X[i], Y[i])
        for direction in directions:
            elsewhere = result.amplitude[i] + 0.05 * direction
            assert reached < objective(elsewhere, beta, noise, eps, X[i], Y[i])


def test_residual_falls_with_the_steps():
    residuals = [
        amplitude_attribution(
            make_model(), X, Y, 0.05, steps=steps, num_samples=10, noise=1.0, seed=1
        ).residual.max()
        for steps in (2, 12, 60)
    ]
    assert residuals[0] > 1.5 * residuals[1] > 1000 * residuals[2]


def test_a_price_too_low_for_plain_steps():
    """Steps of their own length converge where undamped steps diverge."""
    options = {"beta": 0.002, "steps": 80, "num_samples": 10, "noise": 1.0, "seed": 1}
    plain = amplitude_attribution(make_model(), X, Y, damping=1.0, **options)
    own = amplitude_attribution(make_model(), X, Y, **options)
    assert plain.residual.max() > 0.1
    assert own.residual.max() < 0.01
    total = options["beta"] * own.rate + own.loss
    assert np.all(total <= options["beta"] * plain.rate + plain.loss + 1e-6)


def test_batches_and_chunks_make_no_difference():
    whole = amplitude_attribution(
        make_model(), X, Y, steps=4, num_samples=7, seed=2, batch_size=5, chunk_size=7
    )
    parts = amplitude_attribution(
        make_model(), X, Y, steps=4, num_samples=7, seed=2, batch_size=2, chunk_size=3
    )
    for one, other in zip(whole, parts):
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=2e-4)
    other = amplitude_attribution(make_model(), X, Y, steps=4, num_samples=7, seed=4)
    assert np.abs(whole.nats - other.nats).max() > 1e-5


def test_memory_does_not_grow_with_the_draws():
    rows, model = set(), make_model()

    def watched(z):
        rows.add(z.shape[0])
        return model(z)

    amplitude_attribution(
        watched, X, np.array(Y), steps=1, num_samples=50, batch_size=2, chunk_size=4
    )
    assert max(rows) == 8


def test_probabilities_and_logits():
    logits = amplitude_attribution(make_model(), X, Y, steps=5, seed=0)
    probabilities = amplitude_attribution(make_model(probabilities=True), X, Y, steps=5, seed=0)
    np.testing.assert_allclose(probabilities.nats, logits.nats, atol=1e-6)


def test_own_classes():
    model = make_model()
    predicted = np.tanh(X @ HIDDEN) @ OUTPUT
    told = amplitude_attribution(model, X, predicted.argmax(axis=-1), steps=3, seed=0)
    own = amplitude_attribution(model, X, steps=3, seed=0)
    np.testing.assert_array_equal(told.nats, own.nats)


def test_it_runs_at_inference():
    extra = [keras.layers.Dropout(0.9), keras.layers.BatchNormalization(epsilon=0.0)]
    plain = amplitude_attribution(make_model(), X, Y, steps=3, seed=0)
    layered = amplitude_attribution(make_model(extra=extra), X, Y, steps=3, seed=0)
    np.testing.assert_allclose(layered.nats, plain.nats, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 3)])
def test_images(shape):
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(2)])
    result = amplitude_attribution(model, x, steps=2, seed=0)
    assert result.amplitude.shape == (3, *shape[:-1], 2 * shape[-1])
    assert result.nats.shape == x.shape
    assert np.all(result.rate > 0)


def test_inputs_without_a_gradient():
    """A model that looks at nothing: no nats, and the residual of 0 / 0 is 0."""
    result = amplitude_attribution(lambda z: 0.0 * z[:, :3], X, Y, steps=2, seed=0)
    assert np.all(result.nats == 0)
    assert np.all(result.residual == 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.0}, "`beta` must be a positive"),
        ({"noise": -1.0}, "`noise` must be a positive"),
        ({"steps": 0}, "`steps` must be a positive integer"),
        ({"num_samples": 1.5}, "`num_samples` must be a positive integer"),
        ({"chunk_size": 0}, "`chunk_size` must be a positive integer"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"damping": 1.5}, "`damping` must be more than 0 and at most 1"),
        ({"seed": -1}, "`seed` must be None or an integer"),
        ({"x": X.astype("int32")}, "`x` must be a float array"),
        ({"x": X[:, 0]}, "`x` must be a float array"),
        ({"x": [X, X[:, :2]]}, "`x` must be a float array"),
        ({"x": X * np.nan}, "`x` must be finite"),
        ({"x": X[:0], "y": Y[:0]}, "at least one"),
        ({"y": Y[:4]}, "`y` must have a row for each of the 5 inputs"),
        ({"y": Y + 1}, "classes from 0 to 2"),
        ({"y": Y - 1}, "classes from 0 to 2"),
        ({"y": Y / 2}, "classes from 0 to 2"),
        ({"y": np.eye(3)[Y] / 2}, "classes from 0 to 2"),
        ({"y": np.ones((5, 3))}, "classes from 0 to 2"),
        ({"model": lambda z: z[:, 0]}, "scores of two or more classes"),
        ({"model": lambda z: z[:, :1]}, "scores of two or more classes"),
        ({"loss": lambda y, outputs: ops.sum(outputs)}, "one number for each row"),
        ({"loss": lambda y, outputs: outputs}, "one number for each row"),
        ({"loss": lambda y, outputs: outputs[:, 0], "y": None}, "`loss` requires the argument `y`"),
    ],
)
def test_what_it_refuses(change, message):
    arguments = {"model": make_model(), "x": X, "y": Y, "steps": 1, "seed": 0, **change}
    with pytest.raises(ValueError, match=message):
        amplitude_attribution(**arguments)


def test_a_gradient_that_is_not_finite_is_no_map():
    """0 times the infinite slope of sqrt at 0."""

    def model(x):
        return x + ops.sqrt(0.0 * x)

    x = np.array([[-3.0, 1.0]], "float32")
    with pytest.raises(ValueError, match="The gradient of the loss must be finite"):
        amplitude_attribution(model, x, np.array([0]), noise=0.1, seed=0, from_logits=True)


@pytest.mark.parametrize("prior_mean", [None, 0.0, "mean"])
def test_an_element_without_noise_keeps_its_value(prior_mean):
    kernel = np.array([[1.0, -1.0], [0.4, -0.4]], "float32")
    x = np.array([[1.0, 5.0]], "float32")
    options = {"noise": np.array([1.0, 0.0]), "prior_mean": prior_mean, "num_samples": 512}
    result = amplitude_attribution(
        lambda x: x @ ops.convert_to_tensor(kernel),
        x,
        np.array([0]),
        seed=0,
        steps=1,
        chunk_size=512,
        **options,
    )
    # log(1 + exp(-2 (u + 2))) for normal u around 1, or around 0
    u = np.random.default_rng(0).normal(size=100_000) + (1.0 if prior_mean != 0.0 else 0.0)
    expected = np.mean(np.log1p(np.exp(-2.0 * (u + 2.0))))
    np.testing.assert_allclose(result.noise_loss, [expected], rtol=0.2)
    assert result.nats[0, 1] == 0.0


def test_a_model_that_draws_repeats_its_draws():
    latent = FixedRateVIB(2.0, "instance", inference="sample", seed=1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), latent])
    model.add(keras.layers.Dense(3))
    state = np.array(keras.ops.convert_to_numpy(latent.sampling.seed_generator.state))
    first, second = (amplitude_attribution(model, X, Y, seed=0, steps=5) for _ in range(2))
    np.testing.assert_array_equal(first.nats, second.nats)
    after = keras.ops.convert_to_numpy(latent.sampling.seed_generator.state)
    np.testing.assert_array_equal(after, state)


def test_a_loss_of_the_noise_that_is_not_finite():
    def loss(y, z):
        total = ops.sum(z, axis=-1)
        return ops.where(total < 0.5, np.inf, 0.0) - total

    x = np.zeros((2, 3), "float32")
    options = {"noise": 0.1, "beta": 0.01, "steps": 1, "damping": 1.0, "seed": 0}
    with pytest.raises(ValueError, match="The loss of the noise must be finite"):
        amplitude_attribution(lambda z: z, x, np.zeros(2), loss=loss, **options)


def test_a_method_of_a_model_that_draws():
    """All steps use the same draws, and the state of the noise is restored, as for the model."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.latent = FixedRateVIB(2.0, "instance", inference="sample", seed=1)
            self.head = keras.layers.Dense(3)

        def call(self, x, training=None):
            return self.head(self.latent(x, training=training))

        def scores(self, x):
            return self(x)

    net = Net()
    net(X)
    own, *others = (
        amplitude_attribution(model, X, Y, seed=0, steps=5, from_logits=True)
        for model in (net, net.scores, net.scores)
    )
    for other in others:
        np.testing.assert_array_equal(own.nats, other.nats)
