"""Vocabulary: the tokens that a text model knows, and their numbers."""

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
_MOST_DIGITS = 9  # of a number in a file, because `int` raises an error for 5,000 digits


class Vocabulary:
    """The tokens that a text model knows, numbered from 0.

    Number 0 is `<pad>`, so that every other number is a token. A token outside the vocabulary
    becomes `<unk>`. So does a token of a text that is spelled `<pad>`, `<s>` or `</s>`, because
    these are not part of a text. The token `<unk>` in a text remains `<unk>`.

    Args:
        tokens: Iterable of strings. The tokens in the order of their numbers.

    Raises:
        ValueError: If a token occurs twice, if `<pad>` is not the first, or if one of `<unk>`,
            `<s>` and `</s>` is missing.
    """

    def __init__(self, tokens):
        self.tokens = tuple(tokens)
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self._numbers) < len(self.tokens):
            twice = [token for token, n in collections.Counter(self.tokens).items() if n > 1]
            raise ValueError(f"A vocabulary must have each token once. Repeated: {twice[:5]}")
        if self.tokens[:1] != (PAD,):
            raise ValueError(f"Token 0 of a vocabulary must be {PAD}. Received: {self.tokens[:1]}")
        if missing := [token for token in SPECIAL if token not in self._numbers]:
            raise ValueError(f"A vocabulary must have {', '.join(SPECIAL)}. Missing: {missing}")
        self.unknown, self.begin, self.end = (self._numbers[t] for t in (UNKNOWN, BEGIN, END))

    @classmethod
    def build(cls, documents, max_size=None, min_count=1):
        """Return the vocabulary of documents: the frequent tokens, the most frequent first.

        Args:
            documents: Iterable of lists of tokens.
            max_size: Integer or None. Largest number of tokens, including the four special
                ones.
            min_count: Integer. How often a token must occur.
        """
        check_positive_integer("min_count", min_count)
        if max_size is not None:
            check_positive_integer("max_size", max_size)
            if max_size <= len(SPECIAL):
                raise ValueError(
                    f"Argument `max_size` must be larger than {len(SPECIAL)}, the number of "
                    f"special tokens. Received: max_size={max_size}"
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
        """Read a vocabulary from a file with a line `token number` for each token.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If the file is damaged or is not such a file.
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
        """Write the vocabulary to a file that `read` can read."""
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
        """Return the text of numbers up to the end token, without begin token and padding."""
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
        """Raise a ValueError unless a model was trained with exactly this vocabulary."""
        if self.fingerprint != expected:
            raise ValueError(
                "The model was trained with another vocabulary, so its numbers would stand for "
                f"other tokens. Expected: fingerprint {expected[:12]}. Received: fingerprint "
                f"{self.fingerprint[:12]} ({len(self)} tokens)"
            )
