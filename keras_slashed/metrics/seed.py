"""Seeds as numbers."""

import keras


def initial_seed(seed):
    """Return an integer seed as it is, and for None one that Keras draws.

    What Keras draws follows `keras.utils.set_random_seed`.
    """
    state = keras.ops.convert_to_numpy(keras.random.SeedGenerator(seed).state)
    return int(state[0]) % 2**32
