import itertools

import numpy as np
import pytest

from applications.datasets.text_batches import bucket_lengths


def positions(lengths, buckets):
    return sum(min(b for b in buckets if b >= length) for length in lengths)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_no_other_buckets_pad_less(number):
    lengths = np.random.default_rng(number).integers(1, 12, 40)
    buckets = bucket_lengths(lengths, waste=0.0, max_buckets=number)
    assert len(buckets) == number
    others = itertools.combinations(range(1, lengths.max()), number - 1)
    least = min(positions(lengths, (*other, lengths.max())) for other in others)
    assert positions(lengths, buckets) == least


@pytest.mark.parametrize("waste", [0.05, 0.1, 0.3])
def test_as_few_as_keep_within_the_bound(waste):
    lengths = np.ceil(np.random.default_rng(0).lognormal(3.0, 0.6, 5000)).astype(int)
    buckets = bucket_lengths(lengths, waste)
    share = 1 - lengths.sum() / positions(lengths, buckets)
    assert share <= waste
    fewer = bucket_lengths(lengths, 0.0, max_buckets=len(buckets) - 1)
    assert 1 - lengths.sum() / positions(lengths, fewer) > waste
    assert np.all(np.diff(buckets) > 0)
    assert buckets[-1] == lengths.max()


def test_many_distinct_lengths():
    lengths = np.arange(1, 5001)
    buckets = bucket_lengths(lengths, waste=0.1)
    assert buckets[-1] == 5000
    assert 1 - lengths.sum() / positions(lengths, buckets) <= 0.1
    assert len(buckets) < 10


def test_one_length():
    np.testing.assert_array_equal(bucket_lengths([7, 7, 7]), [7])


@pytest.mark.parametrize(
    "options", [dict(waste=1.0), dict(waste=-0.1), dict(max_buckets=0)], ids=str
)
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        bucket_lengths([1, 2], **options)
