"""Seeds for the random streams of this package."""

import keras
import numpy as np

from keras_slashed.validation import check_seed


def stream_seed(stream, seed):
    """Return the seed of a random stream of this package, an integer from 0 to 2^31 - 1.

    The draws of a function must be independent of its data. A user may have drawn the data with
    `np.random.default_rng(seed)` or `keras.random.normal(..., seed=seed)` and the same seed. The
    seed of a stream is therefore a hash of the user's seed, the name of the package and the name
    of the stream. The hash also separates adjacent seeds: on PyTorch, the second draw with a
    seed would otherwise be the first draw with the next seed.

    Args:
        stream: String. Name of the stream. Different functions use different names.
        seed: Integer from 0 to 2^31 - 1, or None. With None, Keras draws the seed, which
            depends on `keras.utils.set_random_seed`.

    Raises:
        ValueError: If the seed is neither None nor an integer in range.
    """
    check_seed(seed)
    if seed is None:
        seed = keras.ops.convert_to_numpy(keras.random.SeedGenerator().state)[0]
    words = [*f"keras_slashed.{stream}".encode(), int(seed)]
    # 31 bits, since some backends store a seed in a signed integer.
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)
