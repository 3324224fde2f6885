"""Candidates: independent standard normals, the same in a row and one by one."""

import numpy as np
import pytest
import scipy.stats

from keras_slashed.coding.candidates import Candidates
from keras_slashed.coding.candidates import _normals
from keras_slashed.coding.candidates import _uniforms


@pytest.mark.parametrize("latent_dim", [1, 2, 3, 4, 5, 8, 9])
def test_one_by_one_as_in_a_row(latent_dim):
    candidates = Candidates(1, latent_dim)
    (row,) = candidates.range([11], 16, 32)
    assert row.shape == (latent_dim, 32)
    alone = candidates.at(np.full(32, 11), np.arange(16, 48))
    np.testing.assert_allclose(row.T, alone, atol=2e-6)


def test_they_are_independent_standard_normals():
    candidates = Candidates(3, 4)
    z = np.swapaxes(candidates.range(range(8), 0, 2**14), 1, 2).reshape(-1, 4)
    for column in z.T:
        assert scipy.stats.kstest(column, "norm").pvalue > 1e-3
    # The entries of a candidate and of the next one, their squares, and the same place of blocks.
    for values in (z, z**2):
        check_uncorrelated(np.concatenate([values[:-1], values[1:]], axis=-1).T)
        check_uncorrelated(values.reshape(8, -1))


def check_uncorrelated(rows):
    off_diagonal = np.corrcoef(rows)[~np.eye(len(rows), dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(rows.shape[1])


def test_the_tail():
    """Candidates beyond 4.5 are as frequent as they should be."""
    candidates = Candidates(0, 2)
    z = candidates.range([0], 0, 2**21)
    count = np.sum(np.abs(z) > 4.5)
    expected = 2 * scipy.stats.norm.sf(4.5) * z.size
    assert abs(count - expected) < 4 * np.sqrt(expected)


def test_every_word_is_a_pair_of_finite_normals():
    """Also the word 0, which none of 2^40 others is likely to be."""
    u, v = _uniforms(np.uint64([0, 2**24 - 1, 2**63, 2**64 - 1]))
    assert np.abs(_normals(u, v)).max() < 7.6
