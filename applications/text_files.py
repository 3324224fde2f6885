"""Text files: one document a line, plain or compressed."""

import gzip
import lzma
import pathlib

_OPENERS = {".gz": gzip.open, ".xz": lzma.open}


def read_documents(path):
    """Yield the documents of a text file, each a list of tokens.

    A document is a line, and its tokens are what spaces separate. No other
    character separates: a token may hold any white space but the space and the
    newline. A carriage return before the newline belongs to the newline. An empty
    line is a document without tokens: what becomes of it is up to the caller.

    Args:
        path: A UTF-8 file; one named `.gz` or `.xz` is unpacked on the way.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not UTF-8, or is a damaged archive.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no text file {path}")
    with _OPENERS.get(path.suffix, open)(path, "rb") as file:
        try:
            for number, line in enumerate(file, start=1):
                yield _tokens(line, number, path.name)
        except (EOFError, OSError, lzma.LZMAError) as error:
            raise ValueError(f"{path.name} is a damaged {path.suffix} file: {error}") from error


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
