"""Weight files that begin with the checksum of their content."""

import hashlib
import os
import shutil

_HDF5 = b"\x89HDF\r\n\x1a\n"  # how a file without a checksum begins
_BLOCK = 512  # bytes that HDF5 leaves to the user at the beginning of a file


def save(model, path):
    """Write the weights of a model with their checksum. A killed process leaves no half file.

    Args:
        model: `keras.Model`.
        path: `pathlib.Path` of the file, which ends in `.weights.h5`. Its folder is created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"new.{path.name}")
    model.save_weights(new)
    seal(new)
    os.replace(new, path)


def seal(path):
    """Put the checksum of an HDF5 file before its content, and wait until it is on the disk.

    The file remains an HDF5 file, because the checksum lies in its user block.

    Args:
        path: `pathlib.Path` of the file.
    """
    new = path.with_name(f"sealed.{path.name}")
    with open(path, "rb") as content, open(new, "wb") as file:
        file.write(_block(content))
        content.seek(0)
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def is_whole(path):
    """Return whether a file has the content it was sealed with, or None if it was not sealed.

    Args:
        path: `pathlib.Path` of the file. For a folder the result is False.
    """
    if path.is_dir():
        return False
    with open(path, "rb") as file:
        block = file.read(_BLOCK)
        return None if block.startswith(_HDF5) else block == _block(file)


def check(path):
    """Raise a ValueError if the content of a file differs from what it was sealed with.

    Args:
        path: `pathlib.Path` of the file.
    """
    if is_whole(path) is False:
        raise ValueError(
            f"{path.name} is damaged: the checksum of its content has changed since it was written"
        )


def _block(file):
    """Return the block to put before the content of a file, from its current position on."""
    checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return f"SHA-256 of what follows this block: {checksum}\n".encode().ljust(_BLOCK)
