"""Files that may be packed by gzip or xz: their content, whole or not at all."""

import gzip
import lzma
import pathlib
import zlib

GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"  # what their files begin with


def read_unpacked(path, must_begin=b""):
    """Return the content of a file as bytes, unpacked if it is a gzip or xz file.

    Its first bytes tell what it is, not its name. A packed file is read to its end,
    where its checksum and its length are; a plain file has none, so that damage to it is
    for the reader of its format to find.

    Args:
        path: Path of the file.
        must_begin: Bytes. `GZIP` or `XZ` to refuse a file that is not packed so.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is a folder, a damaged packed file, or does not begin as it must.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise ValueError(f"{path.name} is a folder. Expected a file.")
    content = path.read_bytes()
    if not content.startswith(must_begin):
        raise ValueError(
            f"{path.name} is damaged or not packed: expected it to start with "
            f"{must_begin.hex(' ')}, received {content[: len(must_begin)].hex(' ') or 'nothing'}"
        )
    for begin, kind, unpack in ((GZIP, "gzip", gzip.decompress), (XZ, "xz", _unpack_xz)):
        if content.startswith(begin):
            try:
                return unpack(content)
            except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
                raise ValueError(f"{path.name} is a damaged {kind} file: {error}") from error
    return content


def _unpack_xz(content):
    """Unpack an xz file; `lzma.decompress` leaves out a second stream that is damaged."""
    pieces = []
    while content:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        pieces.append(stream.decompress(content))
        if not stream.eof:
            raise EOFError("it ends before the end of its stream")
        content = stream.unused_data.lstrip(b"\x00")  # zeros may pad a stream
    return b"".join(pieces)
