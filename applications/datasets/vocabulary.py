"""Vocabulary: the tokens a text model knows, and their numbers."""

import collections
import hashlib

import numpy as np

from applications.checks import check_positive_integer
from applications.datasets.corpus import read_documents

PAD = "<pad>"
UNKNOWN = "<unk>"
BEGIN = "<s>"
END = "</s>"
SPECIAL = (PAD, UNKNOWN, BEGIN, END)
_MOST_DIGITS = 9  # of a number in a file; Python refuses to read 5,000


class Vocabulary:
    """The tokens a text model knows, numbered from 0.

    Number 0 is `<pad>`, so that what is not 0 is a token. A token outside the
    vocabulary becomes `<unk>`, as does one that a text spells `<pad>`, `<s>` or
    `</s>`: these mark what is no part of a text. `<unk>` in a text stays itself.

    Args:
        tokens: The tokens in the order of their numbers.

    Raises:
        ValueError: A token comes twice, `<pad>` is not the first, or one of
            `<unk>`, `<s>`, `</s>` is missing.
    """

    def __init__(self, tokens):
        self.tokens = tuple(tokens)
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self._numbers) < len(self.tokens):
            twice = [token for token, n in collections.Counter(self.tokens).items() if n > 1]
            raise ValueError(f"A vocabulary has each token once. Twice or more: {twice[:5]}")
        if self.tokens[:1] != (PAD,):
            raise ValueError(f"Number 0 of a vocabulary is {PAD}. Received: {self.tokens[:1]}")
        if missing := [token for token in SPECIAL if token not in self._numbers]:
            raise ValueError(f"A vocabulary needs {', '.join(SPECIAL)}. Missing: {missing}")
        self.unknown, self.begin, self.end = (self._numbers[t] for t in (UNKNOWN, BEGIN, END))

    @classmethod
    def build(cls, documents, max_size=None, min_count=1):
        """Return the vocabulary of documents: the frequent tokens, the most frequent first.

        Args:
            documents: Lists of tokens.
            max_size: Greatest number of tokens, the four special ones included.
            min_count: How often a token must occur.
        """
        check_positive_integer("min_count", min_count)
        if max_size is not None:
            check_positive_integer("max_size", max_size)
            if max_size <= len(SPECIAL):
                raise ValueError(
                    f"Argument `max_size` must leave room beside the {len(SPECIAL)} special "
                    f"tokens. Received: max_size={max_size}"
                )
        counts = collections.Counter(token for document in documents for token in document)
        for token in SPECIAL:
            counts.pop(token, None)
        frequent = [token for token, count in counts.items() if count >= min_count]
        frequent.sort(key=lambda token: (-counts[token], token))
        room = None if max_size is None else max_size - len(SPECIAL)
        return cls((*SPECIAL, *frequent[:room]))

    @classmethod
    def read(cls, path):
        """Read a vocabulary: a file with a line `token number` for each token.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or not such a file.
        """
        entries = {}
        for line, entry in enumerate(read_documents(path), start=1):
            if len(entry) != 2 or not entry[1].isdecimal() or len(entry[1]) > _MOST_DIGITS:
                raise ValueError(
                    f"Line {line} of the vocabulary {path} must be `token number`. "
                    f"Received: {' '.join(entry)[:50]!r}"
                )
            if int(entry[1]) in entries:
                raise ValueError(f"The vocabulary {path} has the number {entry[1]} twice")
            entries[int(entry[1])] = entry[0]
        if sorted(entries) != list(range(len(entries))):
            missing = sorted(set(range(len(entries))) - set(entries))
            raise ValueError(
                f"The vocabulary {path} must number its tokens from 0 to {len(entries) - 1}. "
                f"Missing: {missing[:5]}"
            )
        try:
            return cls(entries[number] for number in range(len(entries)))
        except ValueError as error:
            raise ValueError(f"The vocabulary {path}: {error}") from error

    def write(self, path):
        """Write the vocabulary as `read` reads it."""
        lines = [f"{token} {number}\n" for number, token in enumerate(self.tokens)]
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines)

    def __len__(self):
        return len(self.tokens)

    def encode(self, document):
        """Return the numbers of a list of tokens as an int32 array."""
        marks = (0, self.begin, self.end)
        numbers = (self._numbers.get(token, self.unknown) for token in document)
        return np.asarray([self.unknown if n in marks else n for n in numbers], "int32")

    def decode(self, numbers):
        """Return the text of numbers up to the end token, begin and padding left out."""
        words = []
        for number in numbers:
            if number == self.end:
                break
            if number not in (0, self.begin):
                words.append(self.tokens[number])
        return " ".join(words)

    @property
    def fingerprint(self):
        """The SHA-256 of the tokens in their order."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    def check_fingerprint(self, expected):
        """Raise a ValueError unless a model was trained with this very vocabulary."""
        if self.fingerprint != expected:
            raise ValueError(
                "The model was trained with another vocabulary: its fingerprint is "
                f"{expected[:12]}, that of the present one ({len(self)} tokens) "
                f"{self.fingerprint[:12]}. Its numbers would stand for other tokens."
            )
