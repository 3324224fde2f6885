"""The multilayer perceptron of the paper's MNIST experiment (appendix E.2)."""

import keras
from keras import layers
from keras import ops

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling

_STOCHASTIC = {"vib": FixedRateVIB, "beta_vib": SlashedNormalSampling}
BOTTLENECKS = ("none", "dropout", *_STOCHASTIC)


def build(
    input_shape=(28, 28),
    num_classes=10,
    hidden_units=(1024, 1024),
    bottleneck="vib",
    bottleneck_units=512,
    relu_amplitude=False,
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
        ValueError: An unknown bottleneck, or options of a VIB without one.
    """
    if bottleneck not in BOTTLENECKS:
        raise ValueError(
            f"Argument `bottleneck` must be one of {BOTTLENECKS}. "
            f"Received: bottleneck={bottleneck!r}"
        )
    if bottleneck not in _STOCHASTIC and (vib_options or num_samples is not None):
        raise ValueError(
            f'Options of a VIB go with bottleneck="vib" or "beta_vib". '
            f"Received: bottleneck={bottleneck!r}, num_samples={num_samples!r}, {vib_options}"
        )
    inputs = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(inputs)
    for index, units in enumerate(hidden_units, start=1):
        x = layers.Dense(units, activation="relu", name=f"hidden_{index}")(x)
        if bottleneck == "dropout":
            x = layers.Dropout(dropout, name=f"dropout_{index}")(x)
    if bottleneck in _STOCHASTIC:
        activation = "relu" if relu_amplitude else None
        x = layers.Dense(bottleneck_units, activation=activation, name="amplitude")(x)
        vib = _STOCHASTIC[bottleneck]
        x = vib(num_samples=num_samples, name="bottleneck", **vib_options)(x)
    else:
        x = layers.Dense(bottleneck_units, activation="relu", name="features")(x)
        if bottleneck == "dropout":
            x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    if num_samples is not None:
        # log of the mean over draws of softmax(logits), up to log(num_samples),
        # which a softmax does not see
        logits = ops.logsumexp(ops.log_softmax(logits, axis=-1), axis=-2)
    return keras.Model(inputs, logits, name=name)
