"""The linear layer of the classifiers, with the initial values of either framework."""

import keras

from applications.checks import check_choice

INITIALIZERS = ("keras", "torch")


def linear(x, units, initializer="keras", **options):
    """Return the output of a new `Dense` layer.

    Args:
        x: Symbolic features of shape `(..., fan_in)`.
        units: Number of outputs.
        initializer: "keras": the kernel is Glorot uniform and the bias 0. "torch": both are
            uniform in `[-1 / sqrt(fan_in), 1 / sqrt(fan_in)]`, as in `torch.nn.Linear`.
        **options: Of `keras.layers.Dense`.

    Raises:
        ValueError: An unknown initializer.
    """
    check_choice("initializer", initializer, INITIALIZERS)
    if initializer == "torch":
        bound = x.shape[-1] ** -0.5
        # One each, made here: an initializer draws its seed as it is made.
        options["kernel_initializer"] = keras.initializers.RandomUniform(-bound, bound)
        options["bias_initializer"] = keras.initializers.RandomUniform(-bound, bound)
    return keras.layers.Dense(units, **options)(x)
