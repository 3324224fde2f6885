"""BlockCode: which index it draws, and what the decoder makes of it."""

import tracemalloc

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats

from keras_slashed.coding import BlockCode
from keras_slashed.coding import bits_for
from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import normalize_rate
from tests.support import FLOAT_DTYPES
from tests.support import dtype_enabled
from tests.support import floatx
from tests.support import random_amplitude
from tests.support import to_numpy


def narrow_amplitude(shape, rate, seed=0):
    """Return amplitudes of a rate in random directions with b <= 0, in NumPy."""
    psi = np.random.default_rng(seed).normal(size=shape)
    psi[..., shape[-1] // 2 :] = -np.abs(psi[..., shape[-1] // 2 :])
    return (psi * np.sqrt(rate / np.sum(psi**2, axis=-1, keepdims=True))).astype("float32")


def posterior(amplitude):
    return (np.float64(to_numpy(x)) for x in amplitude_to_normal(amplitude))


# --- The distribution of the index


@pytest.mark.parametrize("candidate_stddev", [1.0, 1.2])
@pytest.mark.parametrize(("bits", "latent_dim"), [(1, 1), (4, 2), (6, 3)])
def test_the_index_is_drawn_by_importance_weights(bits, latent_dim, candidate_stddev):
    """Exactly: with probability q(z_i) / p(z_i), normalized over the candidates of the block."""
    number = 4000
    amplitude = narrow_amplitude((number, 2 * latent_dim), rate=0.6)
    code = BlockCode(bits, seed=5, candidate_stddev=candidate_stddev)
    indices = code.encode(amplitude, seed=1)
    mean, stddev = posterior(amplitude)
    log_weights = []
    for index in range(2**bits):
        z = to_numpy(code.decode(np.full(number, index), latent_dim))
        log_ratio = scipy.stats.norm.logpdf(z, mean, stddev)
        log_ratio -= scipy.stats.norm.logpdf(z, 0.0, candidate_stddev)
        log_weights.append(log_ratio.sum(axis=-1))
    probabilities = scipy.special.softmax(log_weights, axis=0)
    check_draws(indices, probabilities.T)


def check_draws(indices, probabilities):
    """Check that draws from different discrete distributions are independent draws from them."""
    rows = np.arange(len(indices))
    upper = np.cumsum(probabilities, axis=-1)[rows, indices]
    own = probabilities[rows, indices]
    uniform = upper - own * np.random.default_rng(0).uniform(size=len(indices))
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 1e-3
    counts = np.bincount(indices, minlength=probabilities.shape[-1])
    expected = probabilities.sum(axis=0)
    deviation = np.sqrt((probabilities * (1 - probabilities)).sum(axis=0))
    assert np.abs((counts - expected) / deviation).max() < 4.5


def test_the_index_of_one_block_over_many_seeds():
    amplitude = narrow_amplitude((1, 4), rate=1.0)
    code = BlockCode(2)
    indices = [code.encode(amplitude, seed=seed)[0] for seed in range(200)]
    z = np.stack([to_numpy(code.decode([index], 2))[0] for index in range(4)])
    mean, stddev = posterior(amplitude)
    log_weights = scipy.stats.norm.logpdf(z, mean, stddev).sum(axis=-1)
    log_weights -= scipy.stats.norm.logpdf(z, 0.0, 1.2).sum(axis=-1)
    expected = 200 * scipy.special.softmax(log_weights)
    assert scipy.stats.chisquare(np.bincount(indices, minlength=4), expected).pvalue > 1e-3


# --- Decoded draws


@pytest.mark.parametrize("part", ["mean", "stddev", "both"])
def test_with_the_default_margin_decoded_draws_are_those_of_the_posterior(part):
    """Their Kolmogorov-Smirnov distance is below 0.05 in each dimension."""
    direction = np.array([1.0, 0.5, -0.2, 0.1, -1.0, -0.5, -0.2, 0.0])
    direction[{"mean": slice(4, 8), "stddev": slice(0, 4), "both": slice(0, 0)}[part]] = 0.0
    amplitude = np.sqrt(2.0 / np.sum(direction**2)) * direction
    amplitude = np.tile(np.float32(amplitude), (4000, 1))
    code = BlockCode(bits_for(2.0))
    z = to_numpy(code.decode(code.encode(amplitude, seed=0), 4))
    mean, stddev = posterior(amplitude)
    noise = 1.63 / np.sqrt(len(z))  # what 1% of exact samples exceed
    for entries in ((z - mean) / stddev).T:
        assert scipy.stats.kstest(entries, "norm").statistic < 0.05 + noise


def test_few_bits_are_the_candidates():
    """Zero nats of rate: whatever the index, the draw is one of the candidates' distribution."""
    code = BlockCode(3, candidate_stddev=1.0)
    z = to_numpy(code.decode(code.encode(np.zeros((3000, 4), "float32"), seed=0), 2))
    for column in z.T:
        assert scipy.stats.kstest(column, "norm").pvalue > 1e-3


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_dtypes(dtype):
    with dtype_enabled(dtype):
        amplitude = random_amplitude((5, 3, 4), dtype, scale=0.5)
        code = BlockCode(8)
        indices = code.encode(amplitude, seed=0)
        assert (indices.dtype, indices.shape) == ("uint32", (5, 3))
        wide = code.encode(to_numpy(amplitude), seed=0)
        np.testing.assert_array_equal(indices, wide)
        assert keras.backend.standardize_dtype(code.decode(indices, 2).dtype) == "float32"


def test_a_policy_of_low_precision_does_not_matter():
    amplitude = narrow_amplitude((20, 8), rate=3.0)
    codes = BlockCode(9).encode(amplitude, seed=0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        code = BlockCode(9)
        np.testing.assert_array_equal(code.encode(amplitude, seed=0), codes)
        z = code.decode(codes, 4)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_array_equal(to_numpy(z), to_numpy(BlockCode(9).decode(codes, 4)))


def test_extreme_amplitudes_have_indices():
    large = np.float32(2.0**52)
    rows = [[large, 0, 0, 0], [0, 0, -large, -large], [0, 0, large, large], [-large] * 4]
    with pytest.warns(UserWarning, match="rate"):
        indices = BlockCode(10).encode(np.float32(rows), seed=0)
    assert indices.shape == (4,)
    assert (indices < 2**10).all()


def test_a_rate_above_the_bits_is_warned_of():
    amplitude = narrow_amplitude((3, 4), rate=8.0)
    with pytest.warns(UserWarning, match=r"8\.00 nats.*11\.5 bits.*bits=11"):
        BlockCode(11).encode(amplitude, seed=0)
    BlockCode(12).encode(amplitude, seed=0)


# --- The same codes


# From one backend. They depend on rounding only where two candidates are almost equally good.
CODES = [
    [127, 264, 2624, 3630, 1036, 1366, 3247, 1449],
    [3650, 2139, 640, 535, 479, 763, 450, 3464],
]


def test_codes_of_every_backend():
    rng = np.random.default_rng(2)
    psi = np.float32(np.round(rng.normal(size=(2, 8, 8)), 3))
    amplitude = normalize_rate(psi, 6.0, "instance")
    codes = BlockCode(12, seed=3).encode(amplitude, seed=4)
    assert codes.tolist() == CODES


def test_candidates_for_ever():
    """What was encoded must be decoded by every later version and on every machine."""
    z = BlockCode(20, seed=7).decode([123456, 7], 3, first_block=41)
    np.testing.assert_allclose(to_numpy(z), CANDIDATES, rtol=1e-6)


CANDIDATES = [
    [-1.4997600317001343, 1.328988790512085, -0.5821337103843689],
    [2.312479019165039, 2.2420148849487305, -0.5752630829811096],
]


def test_codes_depend_neither_on_chunks_nor_on_batches():
    amplitude = narrow_amplitude((6, 2, 6), rate=4.0)
    code = BlockCode(8)
    codes = code.encode(amplitude, seed=0)
    for chunk_size in (30, 300, 5000):
        other = BlockCode(8, chunk_size=chunk_size).encode(amplitude, seed=0)
        np.testing.assert_array_equal(other, codes)
    batches = [code.encode(amplitude[i : i + 2], seed=0, first_block=2 * i) for i in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(batches), codes)
    z = to_numpy(code.decode(codes, 3))
    np.testing.assert_array_equal(to_numpy(code.decode(codes[3], 3, first_block=6)), z[3])


def test_seeds():
    amplitude = narrow_amplitude((50, 4), rate=2.0)
    code = BlockCode(8)
    codes = code.encode(amplitude, seed=0)
    np.testing.assert_array_equal(code.encode(amplitude, seed=0), codes)
    for other in (code.encode(amplitude, seed=1), code.encode(amplitude)):
        assert (other != codes).any()
    keras.utils.set_random_seed(3)
    drawn = code.encode(amplitude)
    assert (code.encode(amplitude) != drawn).any()
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(code.encode(amplitude), drawn)
    z = to_numpy(code.decode(codes, 2))
    assert np.abs(to_numpy(BlockCode(8, seed=1).decode(codes, 2)) - z).min() > 0


def test_no_blocks():
    code = BlockCode(8)
    indices = code.encode(np.zeros((0, 3, 4), "float32"))
    assert indices.shape == (0, 3)
    assert tuple(code.decode(indices, 2).shape) == (0, 3, 2)
    assert code.from_bytes(code.to_bytes(indices), (0, 3)).shape == (0, 3)


def test_one_block_without_other_axes():
    code = BlockCode(8)
    index = code.encode(np.float32([0.5, -0.5]), seed=0)
    assert index.shape == ()
    assert tuple(code.decode(index, 1).shape) == (1,)


# --- Memory


def peak_of_encoding(bits, chunk_size):
    code = BlockCode(bits, chunk_size=chunk_size)
    amplitude = narrow_amplitude((2, 8), rate=4.0)
    code.encode(amplitude, seed=0)  # what compilation needs
    tracemalloc.start()
    code.encode(amplitude, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_candidates():
    assert peak_of_encoding(18, 2**16) < 1.4 * peak_of_encoding(14, 2**16)


# --- Priors


def test_priors_are_affine_maps():
    rng = np.random.default_rng(0)
    code = BlockCode(10)
    indices = rng.integers(0, 2**10, (5, 3))
    z = to_numpy(code.decode(indices, 4))
    mean, stddev = rng.normal(size=4), rng.normal(size=(5, 3, 4))
    found = code.decode(indices, 4, prior_mean=mean, prior_stddev=stddev)
    np.testing.assert_allclose(to_numpy(found), mean + stddev * z, rtol=1e-5, atol=1e-6)
    scale, mean = rng.normal(size=(3, 2, 4)), rng.normal(size=(5, 1, 2))
    found = code.decode(indices, 4, prior_mean=mean, prior_scale=scale)
    expected = mean + np.einsum("bdk,abk->abd", scale, z)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "priors",
    [
        {"prior_mean": np.zeros(3)},
        {"prior_stddev": np.ones((2, 4))},
        {"prior_scale": np.ones((2, 3))},
        {"prior_scale": np.ones((2, 4)), "prior_mean": np.zeros(4)},
        {"prior_scale": np.ones((2, 4)), "prior_stddev": np.ones(4)},
    ],
)
def test_priors_that_do_not_fit(priors):
    with pytest.raises(ValueError, match="prior"):
        BlockCode(4).decode(np.zeros(5, "uint32"), 4, **priors)


# --- Refusals


@pytest.mark.parametrize(
    "arguments",
    [
        {"bits": 0},
        {"bits": 33},
        {"bits": 8.0},
        {"bits": True},
        {"bits": 8, "seed": -1},
        {"bits": 8, "seed": None},
        {"bits": 8, "candidate_stddev": 0.0},
        {"bits": 8, "candidate_stddev": np.nan},
        {"bits": 8, "chunk_size": 0},
    ],
)
def test_impossible_codes(arguments):
    with pytest.raises(ValueError, match=list(arguments)[-1]):
        BlockCode(**arguments)


@pytest.mark.parametrize(
    ("amplitude", "arguments", "words"),
    [
        (np.zeros((2, 3)), {}, "amplitude"),
        (np.float32([np.nan, 0.0]), {}, "amplitude"),
        (np.float32([[np.inf, 0.0, 0.0, 0.0]]), {}, "must be finite. Received: inf"),
        (np.float16([0.0, -np.inf]), {}, "must be finite. Received: -inf"),
        (np.float64([[0.0, np.nan], [np.inf, 0.0]]), {}, "one of 2 entries"),
        ([np.zeros((2, 2)), np.zeros((2, 2))], {}, "amplitude"),
        (np.zeros((2, 4)), {"seed": -1}, "seed"),
        (np.zeros((2, 4)), {"first_block": -1}, "first_block"),
    ],
)
def test_what_cannot_be_encoded(amplitude, arguments, words):
    with pytest.raises(ValueError, match=words):
        BlockCode(4).encode(amplitude, **arguments)


@pytest.mark.parametrize(
    ("indices", "latent_dim", "words"),
    [([16], 2, "ndices"), ([-1], 2, "ndices"), ([0.5], 2, "ndices"), ([1], 0, "latent_dim")],
)
def test_what_cannot_be_decoded(indices, latent_dim, words):
    with pytest.raises(ValueError, match=words):
        BlockCode(4).decode(indices, latent_dim)


def test_text_instead_of_bytes():
    with pytest.raises(ValueError, match=r"`data` must be bytes.*str"):
        BlockCode(4).from_bytes("a", 2)


def test_an_index_in_the_second_half_of_32_bits(monkeypatch):
    """Only the chunk that begins there is visited, since all of them would take minutes."""

    def one_chunk(start, *more):
        is_all = more[:1] == (2**32,)
        return range(2**31, 2**31 + more[1], more[1]) if is_all else range(start, *more)

    monkeypatch.setattr("keras_slashed.coding.selection.range", one_chunk, raising=False)
    code = BlockCode(bits=32, chunk_size=1024)
    index = code.encode(np.zeros((1, 4), "float32"), seed=0)
    assert 2**31 <= index[0] < 2**31 + 1024


def test_more_blocks_than_are_decoded_at_once():
    code, indices = BlockCode(4), np.arange(2**17 + 20, dtype="uint32") % 16
    tail = code.decode(indices[2**17 :], 1, first_block=2**17)
    np.testing.assert_array_equal(to_numpy(code.decode(indices, 1))[2**17 :], to_numpy(tail))


def test_a_posterior_without_width_is_its_nearest_candidate():
    code, amplitude = BlockCode(6), np.float32([[0.5, -1e6]])
    with pytest.warns(UserWarning, match="rate"):
        (index,) = code.encode(amplitude, seed=0)
    candidates = np.ravel([to_numpy(code.decode([i], 1)) for i in range(2**6)])
    assert index == np.argmin(np.abs(candidates - to_numpy(amplitude_to_normal(amplitude)[0])))
    assert index > 0


def test_decoded_draws_have_the_default_dtype():
    with floatx("float64"):
        assert keras.backend.standardize_dtype(BlockCode(4).decode([3], 2).dtype) == "float64"
