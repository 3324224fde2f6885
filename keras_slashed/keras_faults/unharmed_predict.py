"""An error in `predict` leaves a model as it is."""

import contextlib

import keras


@contextlib.contextmanager
def unharmed_predict(model):
    """A context in which `predict` may fail, or be interrupted, and leave the model as it is.

    On JAX Keras takes the values out of a model's variables for the time of a `predict`, and
    after an error does not put them back.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    held = [(variable, variable.value) for variable in model.variables]
    try:
        yield
    except BaseException:
        model.jax_state_sync()  # where a step was made, whose input is gone
        for variable, value in held:
            if variable._value is None:
                variable.assign(value)
        raise
