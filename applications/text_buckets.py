"""The lengths to which documents are padded: few shapes, little padding."""

import numpy as np

from keras_slashed.validation import check_positive_integer

_MOST_CANDIDATES = 1000


def bucket_lengths(lengths, waste=0.07, max_buckets=32):
    """Return the lengths to pad to, as few as keep the padding within a bound.

    Each document goes into the shortest bucket that holds it. For a number of
    buckets their lengths are those with the least padding in all, found by dynamic
    programming over the lengths that occur: the best `k` buckets for the documents
    up to a length are the best `k - 1` up to a shorter one, and one more.

    Args:
        lengths: The documents' lengths.
        waste: Greatest share of padding among all positions, if `max_buckets` allow.
        max_buckets: Greatest number of buckets: each is a shape to compile.

    Returns:
        Increasing lengths, the last that of the longest document.
    """
    check_positive_integer("max_buckets", max_buckets)
    if not 0 <= waste < 1:
        raise ValueError(f"Argument `waste` must be at least 0 and less than 1. Received: {waste}")
    lengths = np.sort(np.asarray(lengths))
    candidates = np.unique(lengths)
    if len(candidates) > _MOST_CANDIDATES:
        candidates = np.unique(
            lengths[np.linspace(0, len(lengths) - 1, _MOST_CANDIDATES).astype(int)]
        )
    # documents no longer than each candidate, and before the first
    counts = np.concatenate([[0], np.searchsorted(lengths, candidates, side="right")])
    # cost[i, j]: positions of one bucket for the documents longer than candidate i - 1
    # and no longer than candidate j, as far as i <= j
    cost = candidates * (counts[1:] - counts[:-1, None]).astype("float64")
    cost[np.tril_indices(len(candidates), -1)] = np.inf
    best = cost[0]
    starts = []
    allowed = lengths.sum() / (1 - waste)
    while best[-1] > allowed and len(starts) + 1 < min(max_buckets, len(candidates)):
        # totals[i, j]: the last bucket begins after candidate i - 1
        totals = np.concatenate([[np.inf], best[:-1]])[:, None] + cost
        starts.append(np.argmin(totals, axis=0))
        best = np.min(totals, axis=0)
    chosen = [len(candidates) - 1]
    for start in reversed(starts):
        chosen.append(start[chosen[-1]] - 1)
    return candidates[chosen[::-1]]
