"""The end of each classifier: a bottleneck or none, the last linear layer, averaged draws."""

from keras import layers
from keras import ops

from applications.models.linear import linear
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling

_STOCHASTIC = {"vib": FixedRateVIB, "beta_vib": SlashedNormalSampling}
BOTTLENECKS = ("none", "dropout", *_STOCHASTIC)


def check_options(bottleneck, num_samples, vib_options):
    """Raise a ValueError for an unknown bottleneck, or options of a VIB without one."""
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
):
    """Return the logits of `num_classes` classes, from features.

    With a VIB: a linear layer to the amplitude, the VIB, a linear layer. Without
    one: a ReLU layer of the same width, with "dropout" a `Dropout`, a linear layer.

    Args:
        x: Symbolic features of shape `(batch, units)`.
        num_classes: Number of classes.
        bottleneck: One of `BOTTLENECKS`.
        bottleneck_units: Width of the layer before the bottleneck; None for no
            such layer: the features themselves take its place.
        dropout: Rate of the dropout layer.
        num_samples: Number of posterior draws whose class probabilities are
            averaged, or None.
        vib_options: Dict of arguments of the VIB's layer.
        relu_amplitude: Whether the layer of the amplitude has a ReLU too.
        initializer: Of both linear layers, "keras" or "torch": see `applications.models.linear`.

    Returns:
        Symbolic logits of shape `(batch, num_classes)`; averaged over draws they
        are the logarithms of the mean class probabilities, up to a constant.
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
    if num_samples is not None:
        # log of the mean over draws of softmax(logits), up to log(num_samples),
        # which a softmax does not see
        logits = ops.logsumexp(ops.log_softmax(logits, axis=-1), axis=-2)
    return logits
