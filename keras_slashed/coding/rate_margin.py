"""How many bits a block of a rate needs."""

import math

import numpy as np

from keras_slashed.validation import check_number


def bits_for(rate, margin=4.0):
    """Return the number of bits in which a block of this rate can be stored.

    `bits = ceil(rate / log(2) + margin)`, but at least 1.

    Args:
        rate: Float or array of floats, 0 or more. Rate of a block in nats.
        margin: Float. Bits beyond the rate.

    Returns:
        Integer, or an array of integers with the shape of `rate`.
    """
    rates = np.asarray(rate, "float64")
    check_number("margin", margin)
    if not (np.isfinite(rates).all() and (rates >= 0).all()):
        raise ValueError(f"Argument `rate` must be finite and 0 or more. Received: rate={rate!r}")
    bits = np.maximum(np.ceil(rates / math.log(2.0) + margin), 1).astype("int64")
    return bits if bits.ndim else int(bits)
