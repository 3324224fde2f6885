"""Damage to files, one bit at a time."""

import random


def flipped_bits(content, number, seed=0):
    """Yield a content with one bit flipped: each of its first and last bytes', and some more."""
    bits = 8 * len(content)
    # A header, and a checksum or two.
    ends = sorted({*range(min(80, bits)), *range(max(0, bits - 64), bits)})
    for place in [*ends, *random.Random(seed).sample(range(bits), number)]:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


def outcomes(read, path, contents, expected):
    """Write contents to a path, one after the other, and read each.

    Returns:
        How many were refused, and how many were read as expected. Anything else fails the
        test: another error than a ValueError that names the file, or another result.
    """
    outcomes = []
    for content in contents:
        path.write_bytes(content)
        try:
            outcomes.append(read() == expected)
        except ValueError as error:
            outcomes.append(path.name if path.name in str(error) else str(error))
    refused, harmless = outcomes.count(path.name), outcomes.count(True)
    assert refused + harmless == len(outcomes), set(outcomes) - {path.name, True}
    return refused, harmless
