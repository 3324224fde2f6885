"""Files of codes, which are refused if they are damaged or belong to another model.

All integers are little-endian.

    bytes 0 to 7     the magic b"KSLCODES"
    byte  8          version of the format, 1
    byte  9          bits of a block
    byte  10         number of axes of the indices
    byte  11         whether the file has the fingerprint of a model
    bytes 12 to 15   seed of the candidates
    bytes 16 to 47   fingerprint of the model, or zeros
    bytes 48 to 55   standard deviation of the candidates, a float64
    8 bytes an axis  shape of the indices
    ...              the packed indices, `BlockCode.to_bytes`
    last 32 bytes    SHA-256 of everything before
"""

import hashlib
import os
import pathlib
import re
import struct

import numpy as np

from keras_slashed.coding.block_code import BlockCode

_MAGIC = b"KSLCODES"
_VERSION = 1
_HEADER = struct.Struct("<8sBBBBI32sd")
_CHECKSUM = hashlib.sha256().digest_size


def save_codes(path, code, indices, fingerprint=None):
    """Write indices and their code to a file.

    An existing file is replaced as a whole, so that it is never half written.

    Args:
        path: String or path. The file.
        code: `BlockCode` that encoded the indices, from block 0 on.
        indices: Integer array of any shape.
        fingerprint: String or None. Fingerprint of the model that decodes, from
            `keras_slashed.coding.fingerprint`. The file can then only be loaded with it.

    Raises:
        ValueError: If `code` is no `BlockCode`, an index does not fit it, or `fingerprint` is not
            the text of one.

    Example:

    >>> import tempfile
    >>> code = keras_slashed.coding.BlockCode(bits=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keras_slashed.coding.save_codes(f"{folder}/codes", code, [[3, 1000]])
    ...     code, indices = keras_slashed.coding.load_codes(f"{folder}/codes")
    >>> code.bits, indices.tolist()
    (10, [[3, 1000]])
    """
    if not isinstance(code, BlockCode):
        raise ValueError(f"Argument `code` must be a BlockCode. Received: code={code!r}")
    indices = np.asarray(indices)
    packed = code.to_bytes(indices)
    digest = _digest(fingerprint)
    header = _HEADER.pack(
        _MAGIC,
        _VERSION,
        code.bits,
        indices.ndim,
        fingerprint is not None,
        code.seed,
        digest,
        code.candidate_stddev,
    )
    content = header + struct.pack(f"<{indices.ndim}Q", *indices.shape) + packed
    path = pathlib.Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_codes(path, fingerprint=None):
    """Read the indices and the code of a file that `save_codes` wrote.

    Args:
        path: String or path. The file.
        fingerprint: String or None. Fingerprint of the model that decodes. It must be the one
            that the file was saved with.

    Returns:
        `(code, indices)`, a `BlockCode` and a uint32 NumPy array.

    Raises:
        ValueError: If the file is not one of codes, is of a newer version, is damaged, or belongs
            to another model.

    Example:

    >>> import tempfile
    >>> decoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> fingerprint = keras_slashed.coding.fingerprint(decoder)
    >>> code = keras_slashed.coding.BlockCode(bits=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keras_slashed.coding.save_codes(f"{folder}/codes", code, [5], fingerprint)
    ...     code, indices = keras_slashed.coding.load_codes(f"{folder}/codes", fingerprint)
    >>> indices.tolist()
    [5]
    """
    digest = _digest(fingerprint)
    content = pathlib.Path(path).read_bytes()
    if content[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{path} is not a file of codes, or its first bytes are damaged")
    body, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
    if len(body) < _HEADER.size or hashlib.sha256(body).digest() != checksum:
        raise ValueError(
            f"{path} is damaged: the checksum of its content is not the one it was written with"
        )
    _, version, bits, axes, is_bound, seed, saved, stddev = _HEADER.unpack_from(body)
    if version != _VERSION:
        raise ValueError(
            f"{path} has version {version} of the format. This release reads version {_VERSION}"
        )
    if (bool(is_bound), saved) != (fingerprint is not None, digest):
        raise ValueError(
            f"{path} was saved with {_named(saved.hex() if is_bound else None)}. "
            f"Received: {_named(fingerprint)}"
        )
    try:
        code = BlockCode(bits, seed, stddev)
        shape = struct.unpack_from(f"<{axes}Q", body, _HEADER.size)
        return code, code.from_bytes(body[_HEADER.size + 8 * axes :], shape)
    except (ValueError, struct.error) as error:
        raise ValueError(f"{path} was not written by `save_codes`: {error}") from None


def _digest(fingerprint):
    """Return the bytes of a fingerprint, or zeros without one."""
    if fingerprint is None:
        return bytes(32)
    if not isinstance(fingerprint, str) or not re.fullmatch("[0-9a-f]{64}", fingerprint):
        raise ValueError(
            "Argument `fingerprint` must be None or the 64 hexadecimal digits that "
            f"`keras_slashed.coding.fingerprint` returns. Received: fingerprint={fingerprint!r}"
        )
    return bytes.fromhex(fingerprint)


def _named(fingerprint):
    return "no fingerprint of a model" if fingerprint is None else f"the model {fingerprint}"
