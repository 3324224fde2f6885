"""Backends without differentiation: inference only."""

import keras


def with_derivative(function, derivative):
    """Return the function as it is: nothing here asks for a derivative."""
    del derivative
    return function


def input_gradient(function, x):
    """Refuse: there is no gradient."""
    raise NotImplementedError(
        f"The {keras.backend.backend()} backend of Keras infers only. Gradients take the backend "
        "tensorflow, jax or torch."
    )
