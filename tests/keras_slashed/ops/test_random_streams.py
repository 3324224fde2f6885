"""What a seeded function draws is independent of what a user draws with the same seed."""

import functools
import itertools

import keras
import numpy as np
import pytest

from keras_slashed.attribution import amplitude_attribution
from keras_slashed.diagnostics import diagnose
from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.metrics import MutualInformation
from keras_slashed.metrics import importance_weighted_nll
from keras_slashed.metrics import mutual_information
from keras_slashed.ops import normal_to_amplitude
from keras_slashed.ops.replica_seed import ReplicaSeedGenerator
from tests.support import to_numpy

ROWS = 12
SEEDS = (0, 1, 7, 2**31 - 1)
ZEROS = np.zeros((ROWS, 2), "float32")  # amplitudes of the prior, whose draws are the noise


def first(x):
    return x[:, 0]


def of_importance_weighted_nll(seed):
    """With the prior for a posterior, a likelihood of z has -z for an estimate."""
    return -importance_weighted_nll(
        lambda x: x, lambda x, z: first(z), ZEROS, 1, seed=seed, return_values=True
    ).values


def of_amplitude_attribution(seed):
    """A loss of z is the noise, of one draw from each instance."""
    loss = lambda y, outputs: first(outputs)  # noqa: E731
    options = {"steps": 1, "num_samples": 1, "noise": 1.0, "loss": loss, "seed": seed}
    return amplitude_attribution(lambda z: z, ZEROS[:, :1], ZEROS, **options).noise_loss


def of_diagnose(seed):
    """A loss of z^2 has, of one instance, the mean square of two pairs' noise for a mean."""
    loss = lambda x, z: first(z * z)  # noqa: E731
    return np.array([diagnose(lambda x: x, loss, ZEROS[:1], num_samples=4, seed=seed).loss])


def of_metric(seed):
    """The random keys, uniform numbers, of the rows that are kept."""
    metric = MutualInformation(capacity=ROWS, seed=seed)
    metric.update_state(ZEROS)
    return metric.keys


DRAWS = {
    "SlashedNormalSampling": lambda seed: SlashedNormalSampling(seed=seed)(ZEROS),
    "SlashedNormal": lambda seed: SlashedNormal(ZEROS).sample(seed=seed),
    "importance_weighted_nll": of_importance_weighted_nll,
    "amplitude_attribution": of_amplitude_attribution,
    "diagnose": of_diagnose,
    "MutualInformation": of_metric,
}
SAME = {
    "FixedRateVIB": lambda seed: FixedRateVIB(1.0, "instance", inference="sample", seed=seed)(
        ZEROS
    ),
    "num_samples": lambda seed: SlashedNormalSampling(seed=seed, num_samples=1)(ZEROS),
    "MultivariateSlashedNormal": lambda seed: MultivariateSlashedNormal(ZEROS).sample(seed=seed),
}


@functools.cache
def drawn(name, seed):
    """Return what a function draws with a seed, once computed."""
    return numbers((DRAWS | SAME)[name](seed))


def numbers(x):
    return np.ravel(to_numpy(x)).astype("float64")


def share(one, other):
    """Return whether two arrays have a number in common, to the rounding of float32."""
    return np.isclose(one[:, None], other, rtol=3e-7, atol=0.0).any()


@functools.cache
def of_user(seed):
    """Return what a user may have drawn with a seed."""
    count = (ROWS, 1)
    generator = keras.random.SeedGenerator(seed)
    drawn = [np.random.default_rng([seed, row]).standard_normal(count) for row in range(3)]
    drawn += [np.random.default_rng(seed).random(count), keras.random.uniform(count, seed=seed)]
    drawn += [keras.random.normal(count, seed=seed), keras.random.uniform(count, seed=generator)]
    drawn += [keras.random.normal(count, seed=generator) for _ in range(6)]
    # The mean square of two.
    drawn.append(np.mean(np.random.default_rng(seed).standard_normal(2) ** 2))
    return np.concatenate([numbers(x) for x in drawn])


@pytest.mark.parametrize("name", [*DRAWS, *SAME])
def test_none_of_the_draws_are_the_users(name):
    """And another seed has none in common."""
    for seed in SEEDS:
        assert len(np.unique(drawn(name, seed))) == (1 if name == "diagnose" else ROWS)
        assert not share(drawn(name, seed), of_user(seed))
    for seed, other in itertools.combinations(SEEDS, 2):
        assert not share(drawn(name, seed), drawn(name, other))


@pytest.mark.parametrize("seed", SEEDS)
def test_functions_share_no_stream(seed):
    for one, other in itertools.combinations(DRAWS, 2):
        assert not share(drawn(one, seed), drawn(other, seed)), (one, other)


@pytest.mark.parametrize("name", [*DRAWS, *SAME])
def test_a_seed_draws_the_same_again(name):
    """An integer of NumPy's too."""
    again = numbers((DRAWS | SAME)[name](np.int64(7)))
    np.testing.assert_array_equal(again, drawn(name, 7))


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("count", [1, 3])
def test_mutual_information_of_data_of_the_same_seed(seed, count):
    """Closed form: N(0, 1) through a channel of a signal-to-noise ratio of 13.3 has 1.33 nats."""
    stddev, rows = np.sqrt(0.0752), 1500
    x = np.random.default_rng(seed).normal(size=(rows, 1)).astype("float32")
    information = 0.5 * np.log1p(1.0 / stddev**2)
    found = mutual_information(
        lambda x: normal_to_amplitude(x, stddev), x, num_samples=count, seed=seed
    )
    # Of a sample of 1500 from the population it is too low by about exp(I) / N.
    assert abs(found.estimate - information) < 3.0 * found.standard_error + 0.01


def test_neighbors_share_no_draw():
    """On PyTorch, the second draw of a `SeedGenerator` is the first of the next seed's."""
    layers = [SlashedNormalSampling(seed=seed) for seed in range(6)]
    drawn = np.concatenate([to_numpy(layer(ZEROS)).ravel() for layer in layers for _ in range(6)])
    assert len(np.unique(drawn)) == drawn.size


def test_a_generator_is_used_as_it_is():
    for seed in (0, 5):
        noise = keras.random.normal((ROWS, 1), seed=seed)
        for posterior in (SlashedNormal(ZEROS), MultivariateSlashedNormal(ZEROS)):
            drawn = posterior.sample(seed=keras.random.SeedGenerator(seed))
            np.testing.assert_array_equal(to_numpy(drawn), to_numpy(noise))


def test_the_configuration_has_the_users_seed():
    for layer in (SlashedNormalSampling(seed=4), FixedRateVIB(2.0, seed=4)):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config()["seed"] == 4
        for training in (True, True):
            np.testing.assert_array_equal(
                to_numpy(again(ZEROS, training=training)), to_numpy(layer(ZEROS, training=training))
            )
    assert MutualInformation.from_config(MutualInformation(seed=4).get_config()).seed == 4
    generator = ReplicaSeedGenerator(4)
    again = ReplicaSeedGenerator.from_config(generator.get_config())
    assert again.get_config()["seed"] == 4
    np.testing.assert_array_equal(to_numpy(again.next()), to_numpy(generator.next()))


def test_without_a_seed_keras_decides():
    """`set_random_seed` does, and each call draws new numbers."""
    found = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        found += [numbers(of_metric(None)), numbers(of_importance_weighted_nll(None))]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])
    for one, other in itertools.combinations((*found[:2], *found[4:]), 2):
        assert not share(one, other)


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, "1", True])
@pytest.mark.parametrize("name", [*DRAWS, "mutual_information"])
def test_wrong_seeds(name, seed):
    functions = DRAWS | {
        "mutual_information": lambda seed: mutual_information(lambda x: x, ZEROS, seed=seed)
    }
    with pytest.raises(ValueError, match="`seed` must be"):
        functions[name](seed)


def test_keys_and_draws_have_streams_of_their_own():
    metric = MutualInformation(seed=3)
    assert metric._seed_of_draws != int(to_numpy(metric.seed_generator.state)[0])
