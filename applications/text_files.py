"""Text files: one document a line, plain or compressed."""

import codecs
import io
import pathlib

from applications import published_sums
from applications import unpacking

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
