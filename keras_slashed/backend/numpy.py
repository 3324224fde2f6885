"""Backends without differentiation, for inference only."""

import keras


def with_derivative(function, derivative):
    """Return the function unchanged, since this backend computes no derivatives."""
    del derivative
    return function


def input_gradient(function, x):
    """Raise an error, since this backend computes no gradients."""
    raise NotImplementedError(
        f"The {keras.backend.backend()} backend of Keras supports inference only. Gradients "
        "require the tensorflow, jax or torch backend."
    )
