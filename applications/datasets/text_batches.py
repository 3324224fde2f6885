"""TextBatches: padded batches of documents, bucketed by length into a few shapes."""

import keras
import numpy as np

from applications.checks import check_positive_integer

_MOST_CANDIDATES = 1000


def bucket_lengths(lengths, waste=0.07, max_buckets=32):
    """Return the lengths to pad to, as few as possible for a bound on the padding.

    Each document goes into the shortest bucket that it fits into. For each number of buckets,
    dynamic programming over the occurring lengths finds the bucket lengths with the least total
    padding: the best `k` buckets for the documents up to a length are the best `k - 1` for
    those up to a shorter length, plus one more.

    Args:
        lengths: Integer array. Lengths of the documents.
        waste: Float in [0, 1). Largest fraction of padding among all positions, if
            `max_buckets` allows it.
        max_buckets: Integer. Largest number of buckets. Each bucket is a shape to compile.

    Returns:
        Integer array of increasing lengths. The last one is that of the longest document.
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
    # The number of documents no longer than each candidate, after a first 0.
    counts = np.concatenate([[0], np.searchsorted(lengths, candidates, side="right")])
    # cost[i, j], for i <= j, is the number of positions in one bucket for the documents that
    # are longer than candidate i - 1 and no longer than candidate j.
    cost = candidates * (counts[1:] - counts[:-1, None]).astype("float64")
    cost[np.tril_indices(len(candidates), -1)] = np.inf
    best = cost[0]
    starts = []
    allowed = lengths.sum() / (1 - waste)
    while best[-1] > allowed and len(starts) + 1 < min(max_buckets, len(candidates)):
        # totals[i, j] is the number of positions if the last bucket begins after candidate i - 1.
        totals = np.concatenate([[np.inf], best[:-1]])[:, None] + cost
        starts.append(np.argmin(totals, axis=0))
        best = np.min(totals, axis=0)
    chosen = [len(candidates) - 1]
    for start in reversed(starts):
        chosen.append(start[chosen[-1]] - 1)
    return candidates[chosen[::-1]]


class TextBatches(keras.utils.PyDataset):
    """Batches of documents of similar length, for `fit`, `evaluate` and `predict`.

    A batch is `(tokens, zeros, weights)`. `tokens` has the shape `(batch_size, 1 + length)`,
    and each row is a begin token, the document, an end token and padding. `zeros` is a target
    that the loss ignores. `weights` has the weight of each row, which is 1 for a document.

    Every batch has `batch_size` rows and one of a few lengths, so that only a few shapes are
    compiled. Documents that do not fill a batch of their bucket move to the next longer bucket.
    Only one batch may have rows that contain only padding, with weight 0. Each document occurs
    exactly once per epoch.

    With a seed, documents and batches are shuffled. If you call `fit` with `shuffle=False`, the
    order in epoch `e` depends only on the seed and on `e`. If a killed run may be resumed, add
    `EpochSeeds(batches, seed)` to the callbacks. Otherwise each `fit` counts epochs from 0.

    Args:
        corpus: `Corpus` of the documents.
        vocabulary: `Vocabulary` that the corpus was encoded with.
        batch_size: Integer. Number of rows in a batch.
        seed: Integer or None. Seed of the order. With None, documents come in the order of
            their lengths.
        lengths: Sequence of integers or None. Lengths to pad to, including the end token. With
            None, `bucket_lengths` chooses them. Pass the same lengths for all parts of a text,
            so that no shape is compiled twice. A length is added if the longest document needs
            it.
        fill: Boolean. Whether to fill the one batch that lacks documents with rows of padding.
            Use False for code that counts every row as a document, such as
            `keras_slashed.metrics`.
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
        """Set the number of the next epoch."""
        self._next_epoch = epoch

    def on_epoch_begin(self):
        self._arrange(self._next_epoch)
        self._next_epoch += 1

    @property
    def waste(self):
        """The fraction of padding among the positions of the current epoch's batches."""
        positions = self.batch_size * np.sum(self.row_lengths)
        return 1.0 - np.sum(self.corpus.lengths + 1) / positions

    def _arrange(self, epoch):
        """Set `rows`, the documents of each batch, and `row_lengths` for an epoch."""
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
    # If an axis has the same size in the first two batches, Keras on TensorFlow assumes that
    # all batches have this size.
    for index, (_, length) in enumerate(batches):
        if length != batches[0][1]:
            batches[1], batches[index] = batches[index], batches[1]
            return
