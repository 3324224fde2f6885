"""Corpus: the documents of a text as numbers, and how to read them from files."""

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

    Each line is a document, and spaces separate its tokens. No other character separates
    tokens, so a token may contain any white space except a space and a newline. A carriage
    return before a newline belongs to the newline, and a byte order mark at the beginning
    belongs to no token. An empty line is a document without tokens, which the caller must
    handle.

    Args:
        path: String or path. A UTF-8 file. A file named `.gz` or `.xz` is unpacked first, and
            is read only if its checksum matches.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is empty, a folder, not UTF-8 or damaged, or if it is a part of
            Penn Treebank under the name of another part.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"The text file {path} does not exist")
    content = unpacking.read_unpacked(path, must_begin=_PACKED.get(path.suffix, b""))
    name = path.name.removesuffix(path.suffix) if path.suffix in _PACKED else path.name
    published_sums.is_original(name, content, path.name)
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content:
        raise ValueError(f"{path.name} is empty. Expected a text with one document per line.")
    for number, line in enumerate(io.BytesIO(content), start=1):
        yield _tokens(line, number, path.name)


def _tokens(line, number, name):
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8: line {number} has the byte 0x{line[error.start]:02x} "
            f"at position {error.start}. Convert the file to UTF-8 first."
        ) from error
    return [token for token in text.split(" ") if token]


@dataclasses.dataclass
class Corpus:
    """Documents as numbers, one after another in one array."""

    numbers: np.ndarray  # int32, the numbers of the tokens
    offsets: np.ndarray  # integers: where each document begins in `numbers`, and the last one ends
    empty: int = 0  # number of documents without tokens, which are left out
    too_long: int = 0  # number of documents longer than the limit, which are left out

    @classmethod
    def encode(cls, documents, vocabulary, max_length=None):
        """Encode documents.

        Args:
            documents: Iterable of lists of tokens.
            vocabulary: `Vocabulary` with the numbers of the tokens.
            max_length: Integer or None. Largest number of tokens in a document. A longer
                document is left out and not truncated, because the likelihood of a truncated
                document would include an end that it does not have.

        Raises:
            ValueError: If no document is left.
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
                f"No document is left: {empty} were empty, and {too_long} were longer than "
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
        """The number of tokens in each document, without begin and end tokens."""
        return np.diff(self.offsets)

    def select(self, indices):
        """Return a corpus of some of the documents."""
        pieces = [self[index] for index in indices]
        return Corpus(np.concatenate(pieces), np.cumsum([0, *map(len, pieces)]))

    def padded(self, indices, length, vocabulary, rows=None):
        """Return documents as rows of a begin token, the tokens, an end token and padding.

        Args:
            indices: Sequence of integers. Indices of the documents.
            length: Integer. Tokens in a row, including the end token but not the begin token.
            vocabulary: `Vocabulary` with the `begin` and `end` tokens.
            rows: Integer or None. Number of rows, if it is larger than the number of documents.
                The additional rows are padding.

        Returns:
            int32 array of shape `(rows, 1 + length)`.
        """
        array = np.zeros((len(indices) if rows is None else rows, 1 + length), "int32")
        for row, index in zip(array, indices):
            document = self[index]
            row[0] = vocabulary.begin
            row[1 : 1 + len(document)] = document
            row[1 + len(document)] = vocabulary.end
        return array
