"""Numbers of a few bits each, packed into bytes without gaps."""

import numpy as np

_PIECE = 2**16  # numbers, a multiple of 8, so that each piece ends with a byte


def packed(numbers, bits):
    """Return numbers as bytes, the most significant bit first.

    Args:
        numbers: uint32 array of any shape, less than 2^bits.
        bits: Integer from 1 to 32. Number of bits of each.
    """
    numbers = numbers.reshape(-1).astype(">u4")
    pieces = []
    for start in range(0, len(numbers), _PIECE):
        digits = np.unpackbits(numbers[start : start + _PIECE, None].view("uint8"), axis=-1)
        pieces.append(np.packbits(digits[:, 32 - bits :]).tobytes())
    return b"".join(pieces)


def packed_size(count, bits):
    """Return the number of bytes of `count` packed numbers."""
    return -(-count * bits // 8)


def unpacked(data, count, bits):
    """Return `count` numbers from bytes of the right length, as a uint32 array.

    Raises:
        ValueError: If the bits that fill the last byte are not 0.
    """
    data = np.frombuffer(data, "uint8")
    numbers = np.zeros((count, 4), "uint8")
    size = _PIECE * bits // 8
    for piece, start in enumerate(range(0, len(data), size)):
        rows = numbers[piece * _PIECE : (piece + 1) * _PIECE]
        digits = np.unpackbits(data[start : start + size])
        used, filling = np.split(digits, [len(rows) * bits])
        if filling.any():
            raise ValueError(
                "The bits that fill the last byte must be 0. "
                f"Received: {filling.tolist()} after {count} numbers of {bits} bits"
            )
        wide = np.zeros((len(rows), 32), "uint8")
        wide[:, 32 - bits :] = used.reshape(-1, bits)
        rows[:] = np.packbits(wide, axis=-1)
    return numbers.view(">u4").astype("uint32").reshape(count)
