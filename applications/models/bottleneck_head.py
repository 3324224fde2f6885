"""The head of each classifier: the bottleneck, if any, and the last linear layer."""

from keras import layers
from keras import ops

from applications.models.linear import linear
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling

_STOCHASTIC = {"vib": FixedRateVIB, "beta_vib": SlashedNormalSampling}
BOTTLENECKS = ("none", "dropout", *_STOCHASTIC)


def check_options(bottleneck, num_samples, vib_options):
    """Raise a ValueError for an unknown bottleneck, or for options of a VIB without a VIB."""
    if bottleneck not in BOTTLENECKS:
        raise ValueError(
            f"Argument `bottleneck` must be one of {BOTTLENECKS}. "
            f"Received: bottleneck={bottleneck!r}"
        )
    if bottleneck not in _STOCHASTIC and (vib_options or num_samples is not None):
        raise ValueError(
            f'Options of a VIB require bottleneck="vib" or "beta_vib". '
            f"Received: bottleneck={bottleneck!r}, num_samples={num_samples!r}, {vib_options}"
        )


def add_head(
    x,
    num_classes,
    bottleneck,
    bottleneck_units,
    dropout,
    num_samples,
    vib_options,
    relu_amplitude=False,
    initializer="keras",
    average="probabilities",
):
    """Return the logits of `num_classes` classes from features.

    With a VIB, the head is a linear layer to the amplitude, the VIB, and a linear layer.
    Without one, it is a ReLU layer of the same width, a `Dropout` layer if the bottleneck is
    "dropout", and a linear layer.

    Args:
        x: Symbolic tensor of shape `(batch, units)`. The features.
        num_classes: Integer. Number of classes.
        bottleneck: String. One of `BOTTLENECKS`.
        bottleneck_units: Integer or None. Width of the layer before the bottleneck, which is
            even for a VIB. With None there is no such layer, and the features take its place.
        dropout: Float. Rate of the dropout layer.
        num_samples: Integer or None. Number of posterior draws that are averaged, which requires
            a VIB. With None there is one draw.
        vib_options: Dict. Arguments of the VIB layer: `rate` (required for "vib"),
            `normalization`, `kl_weight`, `inference`, `seed`, ...
        relu_amplitude: Boolean. Whether the amplitude goes through a ReLU too. Without a VIB
            that layer always has a ReLU.
        initializer: String, "keras" or "torch". Initial values of both linear layers, as in
            `applications.models.linear`.
        average: String, "probabilities" or "logits". What is averaged over draws.

    Returns:
        Symbolic tensor of shape `(batch, num_classes)`. The logits. Those of mean class
        probabilities are their logarithms, up to a constant.
    """
    stochastic = bottleneck in _STOCHASTIC
    if bottleneck_units is not None:
        activation = None if stochastic and not relu_amplitude else "relu"
        name = "amplitude" if stochastic else "features"
        x = linear(x, bottleneck_units, initializer, activation=activation, name=name)
    if stochastic:
        vib = _STOCHASTIC[bottleneck]
        x = vib(num_samples=num_samples, name="bottleneck", **vib_options)(x)
    elif bottleneck == "dropout":
        x = layers.Dropout(dropout, name="dropout")(x)
    logits = linear(x, num_classes, initializer, name="logits")
    if num_samples is not None and average == "logits":
        logits = ops.mean(logits, axis=-2)
    elif num_samples is not None:
        # The log of the mean over draws of softmax(logits), up to log(num_samples), which
        # does not change a softmax.
        logits = ops.logsumexp(ops.log_softmax(logits, axis=-1), axis=-2)
    return logits
