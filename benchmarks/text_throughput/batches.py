"""The documents and batches that `benchmarks.text_throughput` trains on."""

import numpy as np

from applications.datasets import texts
from applications.datasets.corpus import Corpus
from applications.datasets.text_batches import TextBatches
from applications.datasets.vocabulary import SPECIAL
from applications.datasets.vocabulary import Vocabulary

# Penn Treebank has 10,002 tokens in the vocabulary, including the special ones, and 42,068
# documents with a mean of 21.1 tokens, a standard deviation of 10.1 and a maximum of 82.
_VOCABULARY, _DOCUMENTS, _MEAN, _DEVIATION, _LONGEST = 10_002, 42_068, 21.1, 10.1, 82


def load(data_dir=None, documents=_DOCUMENTS):
    """Return a vocabulary, a `Corpus` to train on, and a text that names the source.

    Args:
        data_dir: String, path or None. Folder that holds `ptb/`. With None the documents are
            random, with Penn Treebank's mean and standard deviation of lengths.
        documents: Integer. Number of random documents.
    """
    if data_dir is not None:
        data = texts.load("ptb", data_dir)
        return data.vocabulary, data.train, f"ptb {data.sha256[:12]}"
    vocabulary = Vocabulary((*SPECIAL, *map(str, range(_VOCABULARY - len(SPECIAL)))))
    rng = np.random.default_rng(0)
    scatter = _DEVIATION**2 - _MEAN  # variance of a negative binomial minus its mean
    count = _MEAN**2 / scatter
    lengths = rng.negative_binomial(count, count / (count + _MEAN), documents)
    offsets = np.concatenate([[0], np.cumsum(lengths.clip(1, _LONGEST))])
    numbers = rng.integers(len(SPECIAL), _VOCABULARY, offsets[-1], dtype="int32")
    return vocabulary, Corpus(numbers, offsets), "random documents"


def bucketed(corpus, vocabulary, batch_size, number=None):
    """Return `number` batches that represent an epoch of `TextBatches`, all by default.

    Returns:
        List of arrays of shape `(batch_size, 1 + length)`, with a document in every row.
    """
    batches = TextBatches(corpus, vocabulary, batch_size, seed=0)
    full = [index for index, rows in enumerate(batches.rows) if len(rows) == batch_size]
    full.sort(key=lambda index: batches.row_lengths[index])
    return [batches[index][0] for index in representatives(full, number)]


def padded_to_longest(corpus, vocabulary, batch_size, number=None):
    """Return `number` batches that represent an epoch of a simple implementation.

    Documents come in random order, and each batch is padded to its longest document.

    Returns:
        List of arrays, as for `bucketed`.
    """
    order = np.random.default_rng(0).permutation(len(corpus))
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
    longest = corpus.lengths[batches].max(axis=1) + 1
    return [
        corpus.padded(batches[index], longest[index], vocabulary)
        for index in representatives(np.argsort(longest, kind="stable"), number)
    ]


def representatives(ordered, number=None):
    """Return `number` items at even distances from a sequence, or all if it has fewer.

    From a sorted sequence, they contain each kind of item in its original proportion.
    """
    if number is None or number >= len(ordered):
        return list(ordered)
    places = (np.arange(number) + 0.5) * len(ordered) / number
    return [ordered[int(place)] for place in places]


def tokens(batches):
    """Return the number of tokens that batches train on: words and end tokens."""
    return sum(int(np.count_nonzero(rows[:, 1:])) for rows in batches)


def padding(batches):
    """Return the fraction of padding among the positions of batches."""
    return 1.0 - tokens(batches) / sum(rows[:, 1:].size for rows in batches)
