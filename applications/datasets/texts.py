"""The texts of the experiments: Penn Treebank, Yahoo Answers or any file."""

import dataclasses
import hashlib
import itertools
import pathlib
import re

from applications.datasets.corpus import Corpus
from applications.datasets.corpus import read_documents
from applications.datasets.vocabulary import Vocabulary

PARTS = ("train", "valid", "test")
_KNOWN = ("ptb", "yahoo")
_LONGEST_NAME = 60  # leaves room for the rest of the file names that contain it


@dataclasses.dataclass
class TextData:
    """The three parts of a text, their vocabulary, and where they come from."""

    name: str
    source: str
    vocabulary: Vocabulary
    train: Corpus
    valid: Corpus
    test: Corpus

    @property
    def sha256(self):
        """A checksum of all documents and of the vocabulary."""
        digest = hashlib.sha256(self.vocabulary.fingerprint.encode())
        for part in (self.train, self.valid, self.test):
            digest.update(part.offsets.astype("<i8").tobytes())
            digest.update(part.numbers.astype("<i4").tobytes())
        return digest.hexdigest()

    def describe(self):
        """Return a line that states what was read and what was left out."""
        parts = [f"{len(self.vocabulary)} tokens in the vocabulary"]
        for name in PARTS:
            part = getattr(self, name)
            text = f"{name} {len(part)} documents of {part.lengths.mean():.1f} tokens"
            for count, why in ((part.empty, "empty"), (part.too_long, "too long")):
                text += f", {count} {why} left out" if count else ""
            parts.append(text)
        return f"{self.name} from {self.source}: {'; '.join(parts)}"


def load(name, data_dir=None, max_length=None, max_size=20_000, min_count=1, vocabulary=None):
    """Load a text.

    - "ptb": the three parts of Penn Treebank. The vocabulary is built from the training part
      and has 10,002 tokens, including the special ones. The text itself contains one of these,
      `<unk>`.
    - "yahoo": the two parts of Yahoo Answers that are available, 20,000 documents, and their
      vocabulary of 20,001 tokens. They do not include the original training part, so the
      results are not comparable with published ones. Of each ten documents in the files' order,
      the ninth is for validation and the tenth is for the test. This makes 16,000, 2,000 and
      2,000 documents.
    - a file: the same split, with a vocabulary that is read or built from the training part.
      The name of the text is `file_name(name)`.

    Args:
        name: String. "ptb", "yahoo", or the path of a file with one document per line.
        data_dir: String, path or None. For "ptb" and "yahoo", the folder that holds `ptb/` and
            `yahoo/`.
        max_length: Integer or None. Largest number of tokens in a document. Longer ones are
            left out.
        max_size: Integer. For a file, the largest size of the vocabulary to build.
        min_count: Integer. For a file, how often a token must occur to be in the vocabulary.
        vocabulary: String, path or None. For a file, the path of a vocabulary to read instead.

    Returns:
        `TextData`.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is damaged or has the wrong content, if two parts are the same,
            if no folder is given, or if "ptb" or "yahoo" gets a vocabulary.
    """
    if name in _KNOWN and data_dir is None:
        raise ValueError(f"Text {name!r} requires `data_dir`, a folder that holds {name}/")
    if name in _KNOWN and vocabulary is not None:
        raise ValueError(
            f"Text {name!r} has its own vocabulary. Received: vocabulary={str(vocabulary)!r}"
        )
    if name == "ptb":
        folder = pathlib.Path(data_dir) / "ptb"
        files = [_find(folder, f"ptb.{part}.txt") for part in PARTS]
        documents = [list(read_documents(file)) for file in files]
        _check_different(files, documents)
        words = Vocabulary.build(documents[0])
        source = "the usual language-modelling files"
    elif name == "yahoo":
        folder = pathlib.Path(data_dir) / "yahoo"
        files = [_find(folder, f"yahoo.{part}.txt") for part in ("valid", "test")]
        halves = [list(read_documents(file)) for file in files]
        _check_different(files, halves)
        documents = _split(itertools.chain(*halves))
        words = Vocabulary.read(_find(folder, "yahoo.dict"))
        source = "the validation and test parts, split again"
    else:
        documents = _split(read_documents(name))
        if vocabulary is not None:
            words = Vocabulary.read(vocabulary)
        else:
            words = Vocabulary.build(documents[0], max_size, min_count)
        source = "a file, split 8 : 1 : 1"
        name = file_name(name)
    parts = [
        _encode(f"{part} part of {name}", some, words, max_length)
        for part, some in zip(PARTS, documents)
    ]
    return TextData(name, source, words, *parts)


def file_name(path):
    """Return the name of a text in a file, which consists of letters, digits, "_" and "-".

    Tables and files use this name. It is never that of Penn Treebank or Yahoo Answers, not even
    in capitals. Two files with one name in different folders share it, but their checksums
    differ.

    Args:
        path: String or path. The file. Its name is used without `.gz` or `.xz`, and then
            without the part after the last dot.
    """
    name = pathlib.Path(path).name
    for suffix in (".gz", ".xz"):
        name = name.removesuffix(suffix)
    stem, dot, _ = name.rpartition(".")
    name = re.sub(r"[^\w-]+", "_", stem if dot else name).strip("_-")[:_LONGEST_NAME]
    if not name or name.lower() in _KNOWN:
        name = f"{name}_file".lstrip("_")
    return name


def _encode(part, documents, vocabulary, max_length):
    try:
        return Corpus.encode(documents, vocabulary, max_length)
    except ValueError as error:
        raise ValueError(f"The {part}: {error}") from error


def _check_different(files, parts):
    pairs = itertools.combinations(zip(files, parts), 2)
    for (one, documents), (other, same) in pairs:
        if documents == same:
            raise ValueError(
                f"{one.name} and {other.name}: expected different parts of a text, received the "
                f"same {len(same)} documents twice"
            )


def _find(folder, name):
    for suffix in (".xz", ".gz", ""):
        if (path := folder / f"{name}{suffix}").exists():
            return path
    raise FileNotFoundError(f"{folder} does not contain {name}, {name}.xz or {name}.gz")


def _split(documents):
    """Return three lists, with eight, one and one of each ten documents."""
    parts = ([], [], [])
    for index, document in enumerate(documents):
        parts[max(0, index % 10 - 7)].append(document)
    return parts
