"""Sentences of two texts with one vocabulary, without what would give their source away."""

import collections
import dataclasses
import hashlib
import re

import numpy as np

from applications.datasets import texts
from applications.datasets.vocabulary import SPECIAL
from applications.datasets.vocabulary import Vocabulary
from applications.token_attributions import grammar

_END = re.compile(r"[.?!]+")
_WORD = re.compile(r"'?[a-z][a-z'.&-]*")
_EDGES = '.-`,*"_~=()'  # attached punctuation, which Penn Treebank lacks
_UNKNOWN = ("<unk>", "_UNK")  # as the two texts spell an unknown word
_MOST_UNKNOWN = 0.2
_NORMALIZED = (
    "Only words are kept, without punctuation, numbers and symbols. Those that are not frequent in "
    "both texts are `<unk>`: {} of the words of the first class, and {} of the second. Each length "
    "occurs as often in both classes."
)
_GRAMMAR_SIZES = {"train": 2000, "valid": 300, "test": 300}  # for each class


@dataclasses.dataclass
class Part:
    """Sentences as rows of token numbers, padded with 0, and their classes, 0 or 1."""

    ids: np.ndarray
    y: np.ndarray

    @property
    def mask(self):
        """Boolean array of the shape of `ids`. True for a token, False for padding."""
        return self.ids != 0


@dataclasses.dataclass
class Sentences:
    """The three parts of two texts, their vocabulary, and where they come from."""

    name: str
    source: str
    preparation: str  # sentences that say how the texts were normalized
    classes: tuple
    vocabulary: Vocabulary
    train: Part
    valid: Part
    test: Part

    @property
    def sha256(self):
        """A checksum of all sentences, classes and of the vocabulary."""
        digest = hashlib.sha256(self.vocabulary.fingerprint.encode())
        for part in (self.train, self.valid, self.test):
            digest.update(part.ids.astype("<i4").tobytes())
            digest.update(part.y.astype("<i4").tobytes())
        return digest.hexdigest()

    def unknown_shares(self):
        """Return the share of unknown words in the training sentences of each class."""
        ids, y = self.train.ids, self.train.y
        words = [ids[y == label] for label in (0, 1)]
        return [np.mean(rows[rows != 0] == self.vocabulary.unknown) for rows in words]

    def words(self, ids):
        """Return the tokens of a row without its padding."""
        return [self.vocabulary.tokens[number] for number in ids if number]


def load(data_dir=None, min_length=6, max_length=24, min_count=5, train_sentences=None, seed=0):
    """Load sentences of Penn Treebank (class 0) and Yahoo Answers (class 1), or of a grammar.

    The texts are normalized until their spelling no longer tells them apart. A document of Yahoo
    Answers is divided at its periods, question marks and exclamation points. Only words are kept:
    punctuation, numbers, symbols and Penn Treebank's `N` are dropped. The vocabulary consists of
    the words that are frequent in the training parts of both texts. All other words, and those
    that a text itself has replaced, are `<unk>`. A sentence with more than a fifth of them is left
    out, and so are repeated sentences. Each part has as many sentences of each length from one
    text as from the other.

    Args:
        data_dir: String, path or None. The folder that holds `ptb/` and `yahoo/`. With None, the
            sentences come from a small grammar, in which one noun decides the class.
        min_length: Integer. Smallest number of words in a sentence.
        max_length: Integer. Largest number of words in a sentence.
        min_count: Integer. How often a word must occur in the training part of each text.
        train_sentences: Integer or None. Largest number of training sentences.
        seed: Integer. Seed of the choice and the order of sentences.

    Returns:
        `Sentences`.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is damaged or has the wrong content, or no sentence is left.
    """
    if data_dir is None:
        name, classes = "grammar", grammar.CLASSES
        source = "sentences of a grammar"
        preparation = "One noun of a sentence decides its class."
        both = [_generated(label, seed) for label in (0, 1)]
        vocabulary = Vocabulary.build(both[0]["train"] + both[1]["train"])
    else:
        name, classes = "ptb_yahoo", ("PTB", "Yahoo")
        source = "Penn Treebank, and the available parts of Yahoo Answers"
        preparation = _NORMALIZED
        both = [_read(text, data_dir) for text in ("ptb", "yahoo")]
        vocabulary = shared_vocabulary(*(parts["train"] for parts in both), min_count)
    rng, seen, parts = np.random.default_rng(seed), set(), []
    for part in texts.PARTS:
        pair = [
            _kept(documents[part], vocabulary, min_length, max_length, seen) for documents in both
        ]
        most = train_sentences if part == "train" else None
        parts.append(_matched(*pair, max_length, most, rng))
    found = Sentences(name, source, preparation, classes, vocabulary, *parts)
    shares = [f"{100 * share:.1f} %" for share in found.unknown_shares()]
    found.preparation = preparation.format(*shares)
    return found


def shared_vocabulary(one, other, min_count):
    """Return the vocabulary of the words that occur at least `min_count` times in both texts."""
    counts = [collections.Counter(word for s in text for word in s) for text in (one, other)]
    shared = {w for w in counts[0] if min(counts[0][w], counts[1][w]) >= min_count}
    total = counts[0] + counts[1]
    return Vocabulary((*SPECIAL, *sorted(shared - set(SPECIAL), key=lambda w: (-total[w], w))))


def normalized(document):
    """Return the sentences of a document as lists of words, with `<unk>` for unknown words."""
    sentences = [[]]
    for token in document:
        if _END.fullmatch(token):
            sentences.append([])
        elif token in _UNKNOWN:
            sentences[-1].append("<unk>")
        elif _WORD.fullmatch(word := token.strip(_EDGES)):
            sentences[-1].append(word)
    return [sentence for sentence in sentences if sentence]


def _read(name, data_dir):
    data = texts.load(name, data_dir)
    spelled = data.vocabulary.tokens
    return {
        part: [
            sentence
            for document in getattr(data, part)
            for sentence in normalized([spelled[number] for number in document])
        ]
        for part in texts.PARTS
    }


def _generated(label, seed):
    numbers = iter(range(3 * seed, 3 * seed + 3))
    return {
        part: grammar.documents(label, size, next(numbers)) for part, size in _GRAMMAR_SIZES.items()
    }


def _kept(sentences, vocabulary, min_length, max_length, seen):
    """Return the encoded sentences of the right length that are not in `seen`, and add them."""
    kept = []
    for sentence in sentences:
        if not min_length <= len(sentence) <= max_length:
            continue
        ids = vocabulary.encode(sentence)
        key = ids.tobytes()
        if key not in seen and np.mean(ids == vocabulary.unknown) <= _MOST_UNKNOWN:
            seen.add(key)
            kept.append(ids)
    return kept


def _matched(zeros, ones, length, most, rng):
    """Return a part with as many sentences of each length from one class as from the other."""
    by_length = collections.defaultdict(lambda: ([], []))
    for label, sentences in enumerate((zeros, ones)):
        for index in rng.permutation(len(sentences)):
            by_length[len(sentences[index])][label].append(sentences[index])
    pairs = [pair for size in sorted(by_length) for pair in zip(*by_length[size])]
    if not pairs:
        raise ValueError(
            "Each part of both texts must have sentences of one length. Received: "
            f"{len(zeros)} and {len(ones)} sentences. Choose other lengths or a smaller min_count."
        )
    chosen = rng.permutation(len(pairs))[: None if most is None else max(1, most // 2)]
    rows = [(ids, label) for index in chosen for label, ids in enumerate(pairs[index])]
    ids = np.zeros((len(rows), length), "int32")
    for row, (sentence, _) in zip(ids, rows):
        row[: len(sentence)] = sentence
    return Part(ids, np.array([label for _, label in rows], "int32"))
