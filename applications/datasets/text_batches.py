"""TextBatches: padded batches of documents, bucketed by length into few shapes."""

import keras
import numpy as np

from applications.checks import check_positive_integer

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


class TextBatches(keras.utils.PyDataset):
    """Batches of documents of like length, for `fit`, `evaluate` and `predict`.

    A batch is `(tokens, zeros, weights)`: tokens of shape
    `(batch_size, 1 + length)`, a row being begin, the document, end and padding; a
    target that the loss does not look at; and the rows' weights, 1 for a document.

    Every batch has `batch_size` rows and one of few lengths, so that few shapes are
    compiled. What a bucket's full batches leave over joins the next longer bucket;
    only one batch may hold rows of nothing but padding, of weight 0. Each document comes
    exactly once an epoch.

    With a seed, documents and batches are shuffled: where `fit` is told `shuffle=False`,
    the order of epoch `e` depends on the seed and `e` alone. Add `EpochSeeds(batches,
    seed)` to the callbacks where a killed run may be resumed: else epochs are counted
    from 0 in each `fit`.

    Args:
        corpus: A `Corpus`.
        vocabulary: The `Vocabulary` it was encoded with.
        batch_size: Number of rows.
        seed: Integer, or None for the documents in the order of their lengths.
        lengths: Lengths to pad to, the end token counted; `bucket_lengths` chooses
            them if None. Give the same to the parts of one text, and none is compiled
            twice; a length is added if the longest document asks for it.
        fill: Whether the one batch that lacks documents is filled up with rows of
            padding. False for who counts every row as a document, as
            `keras_slashed.metrics` do.
    """

    def __init__(self, corpus, vocabulary, batch_size, seed=None, lengths=None, fill=True):
        super().__init__()
        check_positive_integer("batch_size", batch_size)
        self.corpus = corpus
        self.vocabulary = vocabulary
        self.batch_size = batch_size
        self.seed = seed
        self.fill = fill
        with_end = corpus.lengths + 1
        self.lengths = bucket_lengths(with_end) if lengths is None else np.unique(lengths)
        if with_end.max() > self.lengths[-1]:
            self.lengths = np.append(self.lengths, with_end.max())
        self._buckets = np.searchsorted(self.lengths, with_end)
        self.set_epoch(0)
        self._arrange(0)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        rows = self.rows[index]
        count = self.batch_size if self.fill else len(rows)
        tokens = self.corpus.padded(rows, self.row_lengths[index], self.vocabulary, count)
        weights = (np.arange(count) < len(rows)).astype("float32")
        return tokens, np.zeros(count, "float32"), weights

    def set_epoch(self, epoch):
        """Let the epoch that is begun next have this number."""
        self._next_epoch = epoch

    def on_epoch_begin(self):
        self._arrange(self._next_epoch)
        self._next_epoch += 1

    @property
    def waste(self):
        """The share of padding among the positions of the present epoch's batches."""
        positions = self.batch_size * np.sum(self.row_lengths)
        return 1.0 - np.sum(self.corpus.lengths + 1) / positions

    def _arrange(self, epoch):
        """Set `rows`, the documents of each batch, and `row_lengths`, for an epoch."""
        rng = None if self.seed is None else np.random.default_rng((self.seed, epoch))
        left = np.zeros(0, int)
        batches = []
        for bucket, length in enumerate(self.lengths):
            members = np.flatnonzero(self._buckets == bucket)
            if rng is not None:
                members = rng.permutation(members)
            members = np.concatenate([left, members])
            full = len(members) - len(members) % self.batch_size
            batches += [(rows, length) for rows in members[:full].reshape(-1, self.batch_size)]
            left = members[full:]
        if len(left):
            batches.append((left, self.lengths[self._buckets[left].max()]))
        if rng is not None:
            batches = [batches[index] for index in rng.permutation(len(batches))]
        _begin_with_two_lengths(batches)
        self.rows, self.row_lengths = map(list, zip(*batches))


def _begin_with_two_lengths(batches):
    # Keras on TensorFlow takes an axis that is alike in the first two batches to be so in all.
    for index, (_, length) in enumerate(batches):
        if length != batches[0][1]:
            batches[1], batches[index] = batches[index], batches[1]
            return
