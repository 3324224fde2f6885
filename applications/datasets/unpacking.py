"""The content of files that may be packed by gzip or xz, which is refused if it is damaged."""

import gzip
import lzma
import pathlib
import zlib

GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"  # the first bytes of such files


def read_unpacked(path, must_begin=b""):
    """Return the content of a file as bytes, unpacked if it is a gzip or xz file.

    The first bytes of the file, and not its name, determine how it is packed. A packed file is
    read to its end, which has its checksum and its length. A plain file has neither, so the
    reader of its format must detect damage.

    Args:
        path: String or path. The file.
        must_begin: Bytes. `GZIP` or `XZ` to refuse a file that is not packed in this way.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is a folder, a damaged packed file, or does not begin with
            `must_begin`.
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
    """Unpack an xz file. `lzma.decompress` would ignore a damaged second stream."""
    pieces = []
    while content:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        pieces.append(stream.decompress(content))
        if not stream.eof:
            raise EOFError("it ends before the end of its stream")
        content = stream.unused_data.lstrip(b"\x00")  # zeros may pad a stream
    return b"".join(pieces)
