import numpy as np
import pytest

from keras_slashed.metrics import factor_vae_score
from keras_slashed.metrics.disentanglement import majority_vote
from tests.keras_slashed.metrics.disentanglement.codes import amplitudes
from tests.keras_slashed.metrics.disentanglement.codes import centered
from tests.keras_slashed.metrics.disentanglement.codes import noise
from tests.keras_slashed.metrics.disentanglement.codes import rotated
from tests.keras_slashed.metrics.disentanglement.codes import same
from tests.keras_slashed.metrics.disentanglement.codes import some_factors

FACTORS = some_factors()
CODES = centered(FACTORS)


def score(codes, factors=FACTORS, imaginary=-1.3, **options):
    options = {"num_votes": 200, "num_samples": 50, "num_resamples": 2, "seed": 0, **options}
    return factor_vae_score(same, amplitudes(codes, imaginary), factors, batch_size=200, **options)


def test_factors_as_latent():
    """In any order, with any scale and sign, with noise, and with dimensions that are collapsed."""
    codes = np.concatenate([noise(600, 1), CODES[:, ::-1] * [-10.0, 1.0, 0.2]], axis=1)
    computed = score(np.concatenate([codes, 0.01 * noise(600, 2)], axis=1))
    assert computed.estimate == 1.0
    assert computed.standard_error == 0.0
    np.testing.assert_array_equal(computed.active, [True] * 4 + [False] * 2)
    np.testing.assert_array_equal(
        computed.votes > 0, np.eye(6, 3, -1)[:, ::-1] @ np.eye(3)[::-1][::-1]
    )
    assert computed.votes.sum() == 200


def test_a_collapsed_dimension_gets_no_vote():
    """Even a constant one, which varies least of all, unless the threshold is below it."""
    codes = np.concatenate([CODES, np.zeros((600, 1)), 0.05 * CODES[:, :1]], axis=1)
    computed = score(codes)
    np.testing.assert_array_equal(computed.active, [True, True, True, False, False])
    assert computed.votes[3:].sum() == 0
    np.testing.assert_array_equal(score(codes, threshold=0).active[3:], [False, True])


def test_a_dimension_that_varies_in_one_instance():
    """A third of all resamples lack the instance: 0 / 0 would get all their votes."""
    rare = np.zeros((600, 1))
    rare[7] = 100.0
    assert score(np.concatenate([CODES, rare], axis=1), num_resamples=20).active.all()
    resample = np.concatenate([CODES, 0.0 * rare], axis=1)
    estimate, votes = majority_vote._score(resample, FACTORS, 200, 50, np.random.default_rng(0))
    assert estimate == 1.0
    assert votes.sum() == 200
    assert votes[3].sum() == 0
    # Of this dimension alone, the score is a third, or 0 in such a resample, as if collapsed.
    computed = score(rare, num_resamples=40)
    assert abs(computed.estimate - 1 / 3) < 0.1
    np.testing.assert_allclose(computed.standard_error, (np.exp(-1) * 0.63) ** 0.5 / 3, rtol=0.3)


def test_draws():
    """A mean far below the noise knows a factor alone; of a draw, its dimension knows nothing."""
    codes = np.concatenate([CODES[:, 1:], 0.2 * CODES[:, :1]], axis=1)
    options = {"imaginary": -0.1, "num_votes": 1000}
    assert score(codes, **options).estimate == 1.0
    drawn = score(codes, representation="sample", **options)
    assert drawn.active.all()
    assert drawn.estimate < 0.9
    collapsed = score(0.01 * CODES, representation="sample", **options)
    assert not collapsed.active.any()


def test_dimensions_that_share_factors():
    """Two dimensions of one factor do no harm; one of two factors knows only one of them."""
    assert score(np.concatenate([CODES, -CODES], axis=1)).estimate == 1.0
    both = np.stack([CODES[:, 0] + CODES[:, 1], CODES[:, 2]], axis=1)
    computed = score(both, num_votes=1000)
    shares = np.bincount([0, 0, 1]) / 3
    np.testing.assert_allclose(computed.estimate, shares[1] + shares[0] / 2, atol=0.06)


def test_nothing_known():
    """Independent noise guesses one of three, and so does a latent of a single dimension."""
    for codes in (noise(600, 6), CODES[:, :1]):
        assert abs(score(codes, num_votes=2000).estimate - 1 / 3) < 0.06
    collapsed = score(np.zeros((600, 4)))
    assert collapsed.estimate == 0.0
    assert not collapsed.active.any()
    assert not collapsed.votes.any()


def test_rotation():
    turned = score(rotated(CODES), num_votes=1000)
    assert turned.estimate < 0.95


def test_against_votes_by_hand():
    """The same definition, one vote after another, in a loop."""
    codes = rotated(CODES) + 0.3 * noise(600, 3)
    rng = np.random.default_rng(7)

    def votes(count):
        for _ in range(count):
            f = rng.integers(3)
            fixed = FACTORS[rng.integers(600), f]
            group = rng.choice(np.flatnonzero(FACTORS[:, f] == fixed), size=20)
            yield f, int(np.argmin(np.var(codes[group], axis=0) / np.var(codes, axis=0)))

    table = np.zeros((3, 3))
    for f, k in votes(1500):
        table[k, f] += 1
    right = np.mean([table[k].argmax() == f for f, k in votes(1500)])
    computed = score(codes, num_votes=6000, num_samples=20)
    np.testing.assert_allclose(computed.votes / 6000, table / 1500, atol=0.05)
    assert abs(computed.estimate - right) < 4 * (0.25 / 1500) ** 0.5


def test_standard_error():
    """Of scores from fresh instances."""
    scores, errors = [], []
    for seed in range(12):
        factors = some_factors(200, seed)
        codes = centered(factors) + noise(200, 3, seed)
        computed = score(codes, factors, seed=seed, num_samples=10, num_resamples=12)
        scores.append(computed.estimate)
        errors.append(computed.standard_error)
    assert np.std(scores, ddof=1) > 0.01
    np.testing.assert_allclose(np.mean(errors), np.std(scores, ddof=1), rtol=0.7)


def test_seed():
    codes = CODES + noise(600, 3)
    first, same_again, other = (score(codes, seed=seed, num_samples=5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.votes, same_again.votes)
    assert first.estimate == same_again.estimate
    assert (first.votes != other.votes).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"representation": None}, "`representation` must be one of 'mean', 'sample'.*None"),
        ({"num_votes": 0}, "`num_votes` must be a positive integer.*num_votes=0"),
        ({"num_samples": 1}, "`num_samples` must be a finite number, 2 or more.*num_samples=1"),
        ({"threshold": -1}, "`threshold` must be a finite number, 0 or more.*threshold=-1"),
        ({"factors": FACTORS[:, :1]}, r"at least 2 columns.*\(600, 1\)"),
        (
            {"factors": np.stack([FACTORS[:, 0], np.arange(600)], axis=1)},
            r"a value that several instances share.*in columns \[1\]",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    given = {"encoder": same, "x": amplitudes(CODES), "factors": FACTORS, **arguments}
    with pytest.raises(ValueError, match=message):
        factor_vae_score(**given)


def test_the_votes_of_the_score_are_others():
    """Noise explains the few votes that the classifier learned from, and none of the others."""
    codes = noise(600, 20)
    found = [score(codes, seed=s, num_votes=30, num_resamples=1).estimate for s in range(8)]
    assert abs(np.mean(found) - 1 / 3) < 0.12


def test_an_instance_gives_a_factor_its_value():
    """A value of 90% of the instances is fixed in 90% of the votes."""
    rng = np.random.default_rng(0)
    rare = np.arange(600) < 60
    factors = np.stack([np.where(rare, 1 + np.arange(600) % 6, 0), rng.integers(2, size=600)], 1)
    codes = noise(600, 2) * np.stack([rare, ~rare], axis=1)
    votes = score(codes, factors, num_votes=1000).votes[:, 0]
    assert abs(votes[0] / votes.sum() - 0.9) < 0.05


def test_a_value_of_a_single_instance_is_not_used():
    """No dimension varies there: the first one would get the votes."""
    factors = FACTORS.copy()
    factors[:200, 2] = 5 + np.arange(200)
    computed = score(CODES, factors)
    assert computed.estimate == 1.0
    np.testing.assert_array_equal(computed.votes > 0, np.eye(3))


def test_the_scale_of_a_dimension_has_no_effect():
    assert score(1e-3 * CODES, threshold=0).estimate == 1.0
