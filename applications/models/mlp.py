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
    average="probabilities",
    name="mlp",
    **vib_options,
):
    """Build the classifier 784-1024-1024-512-10 as a functional model.

    The last hidden layer has `bottleneck_units`. With `bottleneck="vib"` it outputs an
    amplitude of half as many latent dimensions, and `FixedRateVIB` follows it, before the last
    linear layer. With "beta_vib", `SlashedNormalSampling` takes that place, and its `kl_weight`
    is the beta of Alemi et al. (2017). With "dropout" a `Dropout` follows each hidden layer.
    With "none" there is no such layer. For the arguments that are not below see `add_head`.

    Args:
        input_shape: Tuple of integers. Shape of one input, which is flattened.
        hidden_units: Sequence of integers. Widths of the ReLU layers.
        initializer: String. As in `add_head`, for all linear layers.
        dropout: Float. Rate of the dropout layers after the hidden layers.
        name: String. Name of the model.
        **vib_options: Keyword arguments of the VIB layer, the `vib_options` of `add_head`.

    Returns:
        `keras.Model` that maps inputs of shape `(batch, *input_shape)` to logits of shape
        `(batch, num_classes)`, as `add_head` returns them.

    Raises:
        ValueError: If `bottleneck` or `initializer` is unknown, or if options of a VIB are
            given without a VIB.
    """
    check_options(bottleneck, num_samples, vib_options)
    inputs = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(inputs)
    for index, units in enumerate(hidden_units, start=1):
        x = linear(x, units, initializer, activation="relu", name=f"hidden_{index}")
        if bottleneck == "dropout":
            x = layers.Dropout(dropout, name=f"dropout_{index}")(x)
    head = bottleneck, bottleneck_units, dropout, num_samples, vib_options
    logits = add_head(x, num_classes, *head, relu_amplitude, initializer, average)
    return keras.Model(inputs, logits, name=name)
