"""Corpus: the documents of a text as numbers, and the files they are read from."""

import codecs
import dataclasses
import io
import pathlib

import numpy as np

from applications.datasets import published_sums
from applications.datasets import unpacking

_PACKED = {".gz": unpacking.GZIP, ".xz": unpacking.XZ}


def read_documents(path):
    """Yield the documents of a text file, each a list of tokens.

    A document is a line, and its tokens are what spaces separate. No other
    character separates: a token may hold any white space but the space and the
    newline. A carriage return before the newline belongs to the newline, and a byte
    order mark at the beginning to no token. An empty line is a document without
    tokens: what becomes of it is up to the caller.

    Args:
        path: A UTF-8 file; one named `.gz` or `.xz` is unpacked first, and read only if
            its checksum holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, a folder, not UTF-8, damaged, or another part of Penn
            Treebank than its name says.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no text file {path}")
    content = unpacking.read_unpacked(path, must_begin=_PACKED.get(path.suffix, b""))
    name = path.name.removesuffix(path.suffix) if path.suffix in _PACKED else path.name
    published_sums.is_original(name, content, path.name)
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content:
        raise ValueError(f"{path.name} is empty. Expected a text with one document a line.")
    for number, line in enumerate(io.BytesIO(content), start=1):
        yield _tokens(line, number, path.name)


def _tokens(line, number, name):
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8: line {number} holds the byte 0x{line[error.start]:02x} "
            f"at position {error.start}. Convert the file to UTF-8 first."
        ) from error
    return [token for token in text.split(" ") if token]


@dataclasses.dataclass
class Corpus:
    """Documents as numbers, one after the other in one array.

    Attributes:
        numbers: The tokens' numbers, int32.
        offsets: Where each document begins in `numbers`, and where the last ends.
        empty: How many documents had no token; they are left out.
        too_long: How many were longer than the limit; they are left out.
    """

    numbers: np.ndarray
    offsets: np.ndarray
    empty: int = 0
    too_long: int = 0

    @classmethod
    def encode(cls, documents, vocabulary, max_length=None):
        """Encode documents, lists of tokens.

        Args:
            documents: Lists of tokens.
            vocabulary: A `Vocabulary`.
            max_length: Greatest number of tokens of a document. A longer one is left
                out, not cut: a cut document would be charged for an end that it
                does not have.

        Raises:
            ValueError: No document is left.
        """
        kept, empty, too_long = [], 0, 0
        for document in documents:
            if not document:
                empty += 1
            elif max_length is not None and len(document) > max_length:
                too_long += 1
            else:
                kept.append(vocabulary.encode(document))
        if not kept:
            raise ValueError(
                f"There is no document left: {empty} were empty, {too_long} longer than "
                f"max_length={max_length}"
            )
        offsets = np.cumsum([0, *map(len, kept)])
        return cls(np.concatenate(kept), offsets, empty, too_long)

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, index):
        return self.numbers[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self):
        """The number of tokens of each document, begin and end not counted."""
        return np.diff(self.offsets)

    def select(self, indices):
        """Return a corpus of some of the documents."""
        pieces = [self[index] for index in indices]
        return Corpus(np.concatenate(pieces), np.cumsum([0, *map(len, pieces)]))

    def padded(self, indices, length, vocabulary, rows=None):
        """Return documents as rows: begin, tokens, end, padding.

        Args:
            indices: Which documents.
            length: Tokens of a row, the end counted and the begin not.
            vocabulary: Its `begin` and `end` are written.
            rows: Number of rows, if more than documents: the others are padding.

        Returns:
            An int32 array of shape `(rows, 1 + length)`.
        """
        array = np.zeros((len(indices) if rows is None else rows, 1 + length), "int32")
        for row, index in zip(array, indices):
            document = self[index]
            row[0] = vocabulary.begin
            row[1 : 1 + len(document)] = document
            row[1 + len(document)] = vocabulary.end
        return array
