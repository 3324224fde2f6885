"""Protect a model from errors in `predict`."""

import contextlib

import keras


@contextlib.contextmanager
def unharmed_predict(model):
    """A context in which `predict` may fail or be interrupted without damage to the model.

    On JAX, Keras removes the values from the variables of a model during `predict`, and does not
    restore them after an error.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    held = [(variable, variable.value) for variable in model.variables]
    try:
        yield
    except BaseException:
        model.jax_state_sync()  # after a completed step, whose input no longer exists
        for variable, value in held:
            if variable._value is None:
                variable.assign(value)
        raise
