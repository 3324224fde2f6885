"""The linear layer of the classifiers, with the initial values of Keras or PyTorch."""

import keras

from applications.checks import check_choice

INITIALIZERS = ("keras", "torch")


def linear(x, units, initializer="keras", **options):
    """Return the output of a new `Dense` layer.

    Args:
        x: Symbolic tensor of shape `(..., fan_in)`. The features.
        units: Integer. Number of outputs.
        initializer: String. With "keras" the kernel is Glorot uniform and the bias 0. With
            "torch" both are uniform in `[-1 / sqrt(fan_in), 1 / sqrt(fan_in)]`, as in
            `torch.nn.Linear`.
        **options: Further keyword arguments of `keras.layers.Dense`.

    Raises:
        ValueError: If `initializer` is unknown.
    """
    check_choice("initializer", initializer, INITIALIZERS)
    if initializer == "torch":
        bound = x.shape[-1] ** -0.5
        # Two instances, made here, because an initializer draws its seed when it is made.
        options["kernel_initializer"] = keras.initializers.RandomUniform(-bound, bound)
        options["bias_initializer"] = keras.initializers.RandomUniform(-bound, bound)
    return keras.layers.Dense(units, **options)(x)
