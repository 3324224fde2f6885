"""Attribution of several inputs, priors of each element, heads and outputs."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_slashed.attribution import amplitude_attribution
from tests.support import to_numpy

rng = np.random.default_rng(0)
A = rng.normal(size=(5, 4)).astype("float32")
B = rng.normal(size=(5, 2, 3)).astype("float32")
COUNTS = np.arange(5, dtype="int32")[:, None]
Y = np.array([0, 1, 2, 0, 1])
WEIGHTS = rng.normal(size=(4 + 6 + 1, 3)).astype("float32")
OPTIONS = {
    "steps": 2,
    "damping": 0.3,
    "num_samples": 5,
    "batch_size": 3,
    "chunk_size": 2,
    "seed": 1,
    "beta": 0.05,
}


def scores_of(a, b, counts):
    flat = [a, ops.reshape(b, (-1, 6)), ops.cast(counts, "float32")]
    return ops.matmul(ops.tanh(ops.concatenate(flat, axis=-1)), WEIGHTS)


def close(one, other, atol=2e-6):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=atol)


def test_a_list_a_dict_and_a_single_input():
    """Each float input has a map, and an integer input passes through."""
    as_list = amplitude_attribution(lambda x: scores_of(*x), [A, B, COUNTS], Y, **OPTIONS)
    by_name = {"a": A, "b": B, "counts": COUNTS}
    as_dict = amplitude_attribution(lambda x: scores_of(**x), by_name, Y, **OPTIONS)
    assert list(as_dict.nats) == ["a", "b", "counts"]
    for index, name in enumerate(("a", "b")):
        close(as_list.nats[index], as_dict.nats[name])
        assert as_list.nats[index].shape == by_name[name].shape
        assert np.all(as_list.amplitude[index] == as_dict.amplitude[name])
    assert as_list.nats[2] is None
    assert as_dict.amplitude["counts"] is None
    close(as_list.rate, sum(nats.reshape(5, -1).sum(axis=1) for nats in as_list.nats[:2]))
    assert as_list.bits[2] is None
    assert as_dict.tokens["b"].shape == (5, 2)
    # One input alone has the draws that it has first in a list.
    first = amplitude_attribution(
        lambda x: scores_of(*x), [A, B, COUNTS], Y, noise=[0.5, np.eye(2, 3), None], **OPTIONS
    )
    assert np.all((first.nats[1] > 0) == (np.eye(2, 3) > 0))


def objective(flat, beta, noise, eps, index):
    """Return loss and rate of amplitudes of one instance, in NumPy, both inputs in one row."""
    parts, start, rate = [], 0, 0.0
    for x, draws in zip((A[index], B[index]), eps):
        psi = flat[start : start + 2 * x.size].reshape(*x.shape[:-1], -1)
        start += 2 * x.size
        a, b = np.split(psi, 2, axis=-1)
        low, high = np.where(b > 0, 1.0, 1e-12), np.where(b > 0, 1e3, 1.0)
        for _ in range(200):  # stdplus by bisection of its KL
            s = (low + high) / 2
            too_far = ((s**2 - 1 - np.log(s**2)) / 2 > b**2) == (b > 0)
            low, high = np.where(too_far, low, s), np.where(too_far, s, high)
        parts.append((x + noise * (2**0.5 * a + s * draws)).reshape(len(draws), -1))
        rate += np.sum(psi**2)
    parts.append(np.full((len(parts[0]), 1), float(COUNTS[index, 0])))
    scores = np.tanh(np.concatenate(parts, axis=1)) @ WEIGHTS
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[:, Y[index]]
    return losses.mean() + beta * rate, losses.mean()


def test_finite_differences():
    """One undamped step is minus the gradient of the loss at 0, by differences, over 2 beta."""
    options = {**OPTIONS, "steps": 1, "damping": 1.0, "noise": 0.7}
    found = amplitude_attribution(lambda x: scores_of(*x), [A, B, COUNTS], Y, **options)
    words = [*b"keras_slashed.amplitude_attribution", 1]
    seed = int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)
    own = [*b"keras_slashed.input_1", seed]
    seeds = seed, int(np.random.SeedSequence(own).generate_state(1)[0] >> 1)
    for index in (0, 3):
        eps = [
            np.random.default_rng([seed, index]).standard_normal((5, *x.shape[1:]))
            for seed, x in zip(seeds, (A, B))
        ]
        step = 1e-4 * np.eye(20)
        gradient = [
            (objective(e, 0, 0.7, eps, index)[1] - objective(-e, 0, 0.7, eps, index)[1]) / 2e-4
            for e in step
        ]
        amplitude = np.concatenate([part[index].ravel() for part in found.amplitude[:2]])
        close(amplitude, -np.array(gradient) / (2 * OPTIONS["beta"]), atol=1e-4)
        close(objective(amplitude, 0, 0.7, eps, index)[1], found.loss[index])


def test_noise_of_each_element():
    """An array of noise is a rescaled input with noise 1, and std is that of the channels."""
    matrix = rng.normal(size=(4, 3)).astype("float32")
    scale = np.array([0.2, 0.5, 1.0, 2.0], "float32")

    def linear(z):
        return ops.matmul(ops.tanh(z), matrix)

    found = amplitude_attribution(linear, A, Y, noise=scale, **OPTIONS)
    expected = amplitude_attribution(
        lambda z: linear(ops.multiply(z, scale)), A / scale, Y, noise=1.0, **OPTIONS
    )
    close(found.nats, expected.nats)
    # std is that of the channels of the reference.
    options = {**OPTIONS, "reference": 2 * A + 1}
    std = amplitude_attribution(linear, A, Y, noise="std", **options)
    rows = np.tile((2 * A).std(axis=0), (5, 1))
    rows[4] = scale  # an array may have rows
    given = amplitude_attribution(linear, A, Y, noise=rows, **OPTIONS)
    close(std.nats[:4], given.nats[:4])
    close(found.nats[4], given.nats[4])


def test_a_prior_mean_in_closed_form():
    """A quadratic loss c/2 |z - t|^2: the mean moves from m toward x, and at most to x."""
    beta, c, m = 0.5, 1.5, np.array([0.3, -0.2, 0.0, 1.0], "float32")
    noise, t = np.array([0.8, 0.5, 1.0, 0.3], "float32"), A + 1.0
    found = amplitude_attribution(
        lambda z: z,
        A,
        t,
        beta,
        steps=40,
        num_samples=4000,
        chunk_size=2000,
        noise=noise,
        prior_mean=m,
        seed=0,
        loss=lambda t, z: c / 2 * ops.sum((z - t) ** 2, axis=-1),
    )
    assert np.all(found.residual < 1e-3)
    a, b = np.split(found.amplitude, 2, axis=-1)
    free = np.sqrt(2) * c * noise * (t - m) / (2 * beta + 2 * c * noise**2)
    end = (A - m) / (np.sqrt(2) * noise)
    expected = np.clip(free, np.minimum(end, 0), np.maximum(end, 0))
    assert 3 < np.sum(expected == end) < 17  # some are at the bound, and some are not
    np.testing.assert_allclose(a, expected, atol=0.04)
    variance = beta / (beta + c * noise**2)
    kl = np.broadcast_to((variance - 1 - np.log(variance)) / 2, b.shape)
    np.testing.assert_allclose(b**2, kl, atol=0.05)
    nothing = c / 2 * np.sum((m - t) ** 2 + noise**2, axis=1)
    np.testing.assert_allclose(found.noise_loss, nothing, rtol=0.05)


def test_the_mean_of_each_channel():
    model = keras.Sequential([keras.Input((2, 3)), layers.Flatten(), layers.Dense(3)])
    means = B.mean(axis=(0, 1))
    named = amplitude_attribution(model, B, Y, prior_mean="mean", noise="std", **OPTIONS)
    stddev = B.std(axis=(0, 1))
    given = amplitude_attribution(model, B, Y, prior_mean=means, noise=stddev, **OPTIONS)
    close(named.amplitude, given.amplitude)
    # An element at the prior mean has nothing to say with its mean.
    x = np.where(np.arange(3) == 1, means, B).astype("float32")
    found = amplitude_attribution(model, x, Y, prior_mean=means, noise=stddev, **OPTIONS)
    real = np.split(found.amplitude, 2, axis=-1)[0]
    assert np.all(np.abs(real[..., 1]) < 1e-6)
    assert np.any(np.abs(real[..., 0]) > 1e-3)


def unit(activation=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation=activation)])
    model.set_weights([1.5 * weight for weight in model.get_weights()])
    return model


def test_one_unit_is_two_classes():
    """A unit with the logit s is a model with the logits 0 and s."""
    y = np.array([0, 1, 1, 0, 1])
    logit = unit()
    expected = amplitude_attribution(lambda z: ops.pad(logit(z), [[0, 0], [1, 0]]), A, y, **OPTIONS)
    for model in (logit, unit("sigmoid"), lambda z: ops.sigmoid(logit(z))[:, 0]):
        found = amplitude_attribution(model, A, y, **OPTIONS)
        close(found.nats, expected.nats, atol=1e-5)
    for labels in (y[:, None], y.astype("float32")):
        found = amplitude_attribution(logit, A, labels, **OPTIONS)
        close(found.nats, expected.nats, atol=1e-5)
    own = amplitude_attribution(logit, A, **OPTIONS)
    predicted = to_numpy(logit(A))[:, 0] > 0
    same = predicted == y
    assert 0 < same.sum() < 5
    close(own.nats[same], expected.nats[same], atol=1e-5)


def test_small_logits_are_not_probabilities():
    """The layer of a unit says what it is, and `from_logits` where there is no layer."""
    model, y = unit(), np.array([0, 1, 1, 0, 1])
    model.set_weights([np.zeros((4, 1)), np.array([0.5])])
    as_logit = amplitude_attribution(model, A, y, **OPTIONS)
    close(as_logit.noise_loss, np.log(1 + np.exp(np.where(y == 1, -0.5, 0.5))))
    told = amplitude_attribution(lambda z: model(z), A, y, from_logits=True, **OPTIONS)
    close(told.noise_loss, as_logit.noise_loss)
    guessed = amplitude_attribution(lambda z: model(z), A, y, **OPTIONS)
    close(guessed.noise_loss, np.log(2), 1e-5)


def test_one_hot_classes():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    expected = amplitude_attribution(model, A, Y, **OPTIONS)
    for y in (np.eye(3)[Y], np.eye(3, dtype="int32")[Y], Y[:, None]):
        close(amplitude_attribution(model, A, y, **OPTIONS).nats, expected.nats)


def test_a_regression():
    model, y = keras.Sequential([keras.Input((4,)), layers.Dense(2)]), A[:, :2]
    options = {**OPTIONS, "steps": 10, "damping": None}
    found = amplitude_attribution(model, A, y, loss=keras.losses.mean_squared_error, **options)
    assert np.all(found.rate > 0)
    assert np.all(found.loss < found.noise_loss)


def test_several_outputs():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layers.Dense(4, activation="tanh", name="hidden")(inputs)
    heads = {
        "classes": layers.Dense(3, name="c")(hidden),
        "unit": layers.Dense(1, name="u")(hidden),
    }
    by_name, by_index = keras.Model(inputs, heads), keras.Model(inputs, list(heads.values()))
    alone = keras.Model(inputs, heads["classes"])
    expected = amplitude_attribution(alone, A, Y, **OPTIONS)
    close(amplitude_attribution(by_name, A, Y, output="classes", **OPTIONS).nats, expected.nats)
    close(amplitude_attribution(by_index, A, Y, output=0, **OPTIONS).nats, expected.nats)
    expected = amplitude_attribution(alone, A, Y, layer="hidden", **OPTIONS)
    found = amplitude_attribution(by_index, A, Y, layer="hidden", output="c", **OPTIONS)
    close(found.nats, expected.nats)
    assert np.all(amplitude_attribution(by_name, A, Y % 2, output="unit", **OPTIONS).rate > 0)
    with pytest.raises(ValueError, match="argument `output`"):
        amplitude_attribution(by_name, A, Y, **OPTIONS)
    with pytest.raises(ValueError, match="`output` must be one of 'classes', 'unit'"):
        amplitude_attribution(by_name, A, Y, output="other", **OPTIONS)
    with pytest.raises(ValueError, match="`output` must be one of 'c', 'u', 0, 1"):
        amplitude_attribution(by_index, A, Y, output=2, **OPTIONS)
    with pytest.raises(ValueError, match="requires a `model` with several outputs"):
        amplitude_attribution(alone, A, Y, output="c", **OPTIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": "mean"}, "`noise` must be a number, an array or 'std'"),
        ({"noise": np.zeros(4)}, "not all 0"),
        ({"noise": np.array([1.0, -1.0, 1.0, 1.0])}, "0 or more"),
        ({"noise": np.ones(3)}, r"broadcast to the shape \(5, 4\)"),
        ({"noise": np.ones((1, 5, 4))}, r"broadcast to the shape \(5, 4\)"),
        ({"noise": None}, "finite number or array"),
        ({"noise": "std", "reference": np.ones((3, 4), "float32")}, "not all 0"),
        ({"prior_mean": "std"}, "`prior_mean` must be a number, an array or 'mean'"),
        ({"prior_mean": np.nan}, "`prior_mean` must be a finite"),
        ({"prior_mean": np.ones(3)}, "`prior_mean` must broadcast"),
        ({"reference": A.astype("int32"), "noise": "std"}, "`reference` must"),
        ({"reference": A[:, :3], "noise": "std"}, "`reference` must"),
        ({"x": [A, "words"]}, "`x` must be a float array"),
        ({"x": {}}, "`x` must be a float array"),
        ({"x": {"a": A, "b": A[:4]}}, "same length"),
        ({"x": [COUNTS]}, "`x` must be a float array.*`layer`"),
        ({"x": {"a": A, "b": A}, "noise": {"a": 1.0}}, "the structure of the inputs"),
    ],
)
def test_what_it_refuses(change, message):
    arguments = {"model": lambda x: scores_of(x, B[:1], COUNTS[:1]), "x": A, "y": Y, **OPTIONS}
    with pytest.raises(ValueError, match=message):
        amplitude_attribution(**{**arguments, **change})


@pytest.mark.parametrize(
    ("reference", "message"),
    [(np.full((2, 3), np.nan), "`reference` must be finite"), ("text", "`reference` must be a")],
)
def test_errors_name_the_reference(reference, message):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=message):
        amplitude_attribution(
            model, np.zeros((2, 3), "float32"), prior_mean="mean", reference=reference
        )


def test_own_classes_of_a_unit():
    logit = unit()
    for model, threshold in ((logit, 0.0), (unit("sigmoid"), 0.5)):
        y = to_numpy(model(A))[:, 0] > threshold
        assert 0 < y.sum() < 5
        own = amplitude_attribution(model, A, **OPTIONS)
        told = amplitude_attribution(model, A, y.astype("int32"), **OPTIONS)
        np.testing.assert_array_equal(own.nats, told.nats)
    model = unit()
    model.set_weights([np.zeros((4, 1)), np.array([0.2])])  # the class 1 of each row
    own = amplitude_attribution(model, A, **OPTIONS)
    np.testing.assert_allclose(own.noise_loss, np.log1p(np.exp(-0.2)), rtol=1e-5)


def test_the_mean_of_the_reference():
    model = keras.Sequential([keras.Input((2, 3)), layers.Flatten(), layers.Dense(3)])
    reference = 2.0 * B + 1.0
    named = amplitude_attribution(
        model, B, Y, prior_mean="mean", noise=0.5, reference=reference, **OPTIONS
    )
    means = reference.mean(axis=(0, 1))
    given = amplitude_attribution(model, B, Y, prior_mean=means, noise=0.5, **OPTIONS)
    np.testing.assert_allclose(named.amplitude, given.amplitude, rtol=1e-4, atol=2e-6)


def test_an_input_without_a_prior_mean():
    """None in a list is the value itself, without bounds: what it is without prior means."""
    weights = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")

    def model(x):
        one, two = x
        return ops.matmul(ops.tanh(one), weights) + ops.matmul(ops.tanh(two), weights)

    x, options = [A, 0.5 * A], {**OPTIONS, "beta": 0.01}
    found = amplitude_attribution(model, x, Y, prior_mean=[None, None], **options)
    plain = amplitude_attribution(model, x, Y, **options)
    np.testing.assert_allclose(found.amplitude[0], plain.amplitude[0], rtol=1e-5)
    # At its value as the prior mean, the second one has no real part; the first one has.
    mixed = amplitude_attribution(model, x, Y, prior_mean=[None, x[1]], **options)
    real = [np.split(part, 2, axis=-1)[0] for part in mixed.amplitude]
    assert np.all(real[1] == 0.0)
    for sign in (-1.0, 1.0):
        assert np.any(sign * real[0] > 1e-3)


def test_the_std_and_the_mean_of_each_input():
    weights = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")

    def model(x):
        return ops.matmul(ops.tanh(x[0]), weights) + ops.matmul(ops.tanh(x[1]), weights)

    x = [A, 3.0 * A + 1.0]
    named = amplitude_attribution(model, x, Y, noise="std", prior_mean="mean", **OPTIONS)
    noise, mean = ([f(part, axis=0) for part in x] for f in (np.std, np.mean))
    given = amplitude_attribution(model, x, Y, noise=noise, prior_mean=mean, **OPTIONS)
    for one, other in zip(named.amplitude, given.amplitude):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)
