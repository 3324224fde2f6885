"""float64 where a backend has it switched off."""

import contextlib

import keras


def float64_enabled():
    """Return a context in which float64 tensors can be made: on JAX they are off."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)
