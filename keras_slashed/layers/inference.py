"""What all sampling layers of a model do at inference."""

import keras

from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling


def set_inference(model, inference):
    """Have all layers of a model draw at inference, or return the posterior mean.

    It sets the attribute `inference` of each `SlashedNormalSampling` and `FixedRateVIB` of the
    model, those in nested models included. The model, and each model in it, forgets the functions
    that it compiled for `fit`, `evaluate` and `predict`, which would go on as they were traced; the
    next call compiles them again. Another model that shares the layers keeps its own: call
    `set_inference` on that one too.

    Args:
        model: A `keras.Model`, or any layer.
        inference: String. "sample", or "mean" for the posterior mean.

    Raises:
        ValueError: `inference` is neither of these, or the model has no such layer.

    Example:

    >>> model = keras.Sequential([keras_slashed.layers.FixedRateVIB(rate=2.3)])
    >>> keras_slashed.layers.set_inference(model, "sample")
    >>> model.layers[0].inference
    'sample'
    """
    layers = list(model._flatten_layers())
    sampling = [layer for layer in layers if isinstance(layer, SlashedNormalSampling)]
    if not sampling:
        raise ValueError(
            "Argument `model` must contain a SlashedNormalSampling or FixedRateVIB layer. "
            f"Received: model={model!r}"
        )
    for layer in sampling:
        layer.inference = inference
    for layer in layers:
        if isinstance(layer, keras.Model):
            layer.train_function = layer.test_function = layer.predict_function = None
