"""A dtype policy for a while, float64 included."""

import contextlib

import keras

from applications.float64 import float64_enabled

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "float64")


@contextlib.contextmanager
def using_policy(name):
    """A context in which models are built and trained under a dtype policy.

    Under "float64" Keras' `floatx`, of inputs and losses, is float64 as well.
    """
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    wide = name == "float64"
    with float64_enabled() if wide else contextlib.nullcontext():
        try:
            if wide:
                keras.config.set_floatx(name)
            keras.config.set_dtype_policy(name)
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)
