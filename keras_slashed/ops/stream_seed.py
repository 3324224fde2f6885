"""Seeds of the package's own random streams."""

import keras
import numpy as np

from keras_slashed.validation import check_seed


def stream_seed(stream, seed):
    """Return the seed of a random stream of this package, an integer of 0 to 2**31 - 1.

    The draws of a function must be independent of the data that it is given, and a user
    may well draw these by `np.random.default_rng(seed)` or `keras.random.normal(..., seed=seed)`
    with the same seed. So no stream begins with a user's seed itself, but with a hash of
    it, of the package's name and of the stream's. Seeds that are neighbors become far
    apart: on PyTorch the second draw with a seed is the first one with the next.

    Args:
        stream: Name of the stream: functions that draw have different ones.
        seed: Integer of 0 to 2**31 - 1; or None, for one that Keras draws, which
            `keras.utils.set_random_seed` decides.

    Raises:
        ValueError: The seed is neither.
    """
    check_seed(seed)
    if seed is None:
        seed = keras.ops.convert_to_numpy(keras.random.SeedGenerator().state)[0]
    words = [*f"keras_slashed.{stream}".encode(), int(seed)]
    # 31 bits: some backends keep a seed in signed integers.
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)
