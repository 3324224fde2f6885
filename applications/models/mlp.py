"""The multilayer perceptron of the paper's MNIST experiment (appendix E.2)."""

import keras
from keras import layers

from applications.models.bottleneck_head import add_head
from applications.models.bottleneck_head import check_options
from applications.models.linear import linear


def build(
    input_shape=(28, 28),
    num_classes=10,
    hidden_units=(1024, 1024),
    bottleneck="vib",
    bottleneck_units=512,
    relu_amplitude=False,
    initializer="keras",
    dropout=0.2,
    num_samples=None,
    name="mlp",
    **vib_options,
):
    """Build the classifier 784-1024-1024-512-10 as a functional model.

    The last hidden layer has `bottleneck_units`. With `bottleneck="vib"` it is
    an amplitude of half as many latent dimensions, and `FixedRateVIB` stands
    between it and the last linear layer; with "beta_vib" it is
    `SlashedNormalSampling`, whose `kl_weight` is the beta of Alemi et al. (2017).
    With "dropout" a `Dropout` follows each hidden layer, with "none" nothing.

    Args:
        input_shape: Shape of one input; it is flattened.
        num_classes: Number of classes.
        hidden_units: Widths of the ReLU layers.
        bottleneck: "none", "dropout", "vib" or "beta_vib".
        bottleneck_units: Width of the last hidden layer; even for a VIB.
        relu_amplitude: Whether the amplitude goes through a ReLU too. Without a
            VIB that layer always has one.
        initializer: Of all linear layers, "keras" or "torch": see `applications.models.linear`.
        dropout: Rate of the dropout layers, after each hidden layer.
        num_samples: With a VIB, the number of posterior draws whose class
            probabilities are averaged; None for one draw.
        name: Name of the model.
        **vib_options: Of the VIB's layer: `rate` (needed for "vib"),
            `normalization`, `kl_weight`, `inference`, `seed`, ...

    Returns:
        A `keras.Model` from `(batch, *input_shape)` to logits of shape
        `(batch, num_classes)`; averaged over draws they are the logarithms of
        the mean class probabilities.

    Raises:
        ValueError: An unknown bottleneck or initializer, or options of a VIB without one.
    """
    check_options(bottleneck, num_samples, vib_options)
    inputs = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(inputs)
    for index, units in enumerate(hidden_units, start=1):
        x = linear(x, units, initializer, activation="relu", name=f"hidden_{index}")
        if bottleneck == "dropout":
            x = layers.Dropout(dropout, name=f"dropout_{index}")(x)
    head = bottleneck, bottleneck_units, dropout, num_samples, vib_options
    logits = add_head(x, num_classes, *head, relu_amplitude, initializer)
    return keras.Model(inputs, logits, name=name)
