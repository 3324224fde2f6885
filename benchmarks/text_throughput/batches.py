"""The documents and batches that `benchmarks.text_throughput` trains on."""

import numpy as np

from applications.datasets import texts
from applications.datasets.corpus import Corpus
from applications.datasets.text_batches import TextBatches
from applications.datasets.vocabulary import SPECIAL
from applications.datasets.vocabulary import Vocabulary

# Of Penn Treebank: 10,002 tokens in the vocabulary with the special ones, 42,068 documents
# of 21.1 tokens on average, with a standard deviation of 10.1 and 82 tokens at the most.
_VOCABULARY, _DOCUMENTS, _MEAN, _DEVIATION, _LONGEST = 10_002, 42_068, 21.1, 10.1, 82


def load(data_dir=None, documents=_DOCUMENTS):
    """Return a vocabulary, a `Corpus` to train on, and words on where they are from.

    Args:
        data_dir: A folder that holds `ptb/`, or None for random documents, whose lengths
            have Penn Treebank's mean and standard deviation.
        documents: Number of random documents.
    """
    if data_dir is not None:
        data = texts.load("ptb", data_dir)
        return data.vocabulary, data.train, f"ptb {data.sha256[:12]}"
    vocabulary = Vocabulary((*SPECIAL, *map(str, range(_VOCABULARY - len(SPECIAL)))))
    rng = np.random.default_rng(0)
    scatter = _DEVIATION**2 - _MEAN  # of a negative binomial beyond that of a Poisson
    count = _MEAN**2 / scatter
    lengths = rng.negative_binomial(count, count / (count + _MEAN), documents)
    offsets = np.concatenate([[0], np.cumsum(lengths.clip(1, _LONGEST))])
    numbers = rng.integers(len(SPECIAL), _VOCABULARY, offsets[-1], dtype="int32")
    return vocabulary, Corpus(numbers, offsets), "random documents"


def bucketed(corpus, vocabulary, batch_size, number=None):
    """Return `number` batches that stand for an epoch of `TextBatches`, all by default.

    Returns:
        Arrays of shape `(batch_size, 1 + length)`, documents in every row.
    """
    batches = TextBatches(corpus, vocabulary, batch_size, seed=0)
    full = [index for index, rows in enumerate(batches.rows) if len(rows) == batch_size]
    full.sort(key=lambda index: batches.row_lengths[index])
    return [batches[index][0] for index in representatives(full, number)]


def padded_to_longest(corpus, vocabulary, batch_size, number=None):
    """Return `number` batches that stand for an epoch as one writes it plainly.

    Documents come in random order, and each batch is padded to its longest document.

    Returns:
        As `bucketed`.
    """
    order = np.random.default_rng(0).permutation(len(corpus))
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
    longest = corpus.lengths[batches].max(axis=1) + 1
    return [
        corpus.padded(batches[index], longest[index], vocabulary)
        for index in representatives(np.argsort(longest, kind="stable"), number)
    ]


def representatives(ordered, number=None):
    """Return `number` items at even distances of a sequence, or all if it has no more.

    Of what is in order: the part that they make up of each kind is the sequence's own.
    """
    if number is None or number >= len(ordered):
        return list(ordered)
    places = (np.arange(number) + 0.5) * len(ordered) / number
    return [ordered[int(place)] for place in places]


def tokens(batches):
    """Return the number of tokens that batches train on: words and ends of documents."""
    return sum(int(np.count_nonzero(rows[:, 1:])) for rows in batches)


def padding(batches):
    """Return the share of padding among the positions of batches."""
    return 1.0 - tokens(batches) / sum(rows[:, 1:].size for rows in batches)
