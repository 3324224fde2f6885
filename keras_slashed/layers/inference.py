"""set_inference: switch all sampling layers of a model between sample and posterior mean."""

import keras

from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling


def set_inference(model, inference):
    """Set whether the layers of a model draw at inference or return the posterior mean.

    The function sets the attribute `inference` of each `SlashedNormalSampling` and
    `FixedRateVIB` layer in the model, including those in nested models. It then replaces the
    functions that the model and its nested models compiled for `fit`, `evaluate` and `predict`,
    because these functions would keep the previous behavior. The next call compiles the new ones,
    also if a callback calls `set_inference` during `fit`. Another model that shares the layers
    keeps its compiled functions: call `set_inference` on that model too.

    Args:
        model: `keras.Model`, or any layer.
        inference: String. "sample" to draw, or "mean" to return the posterior mean.

    Raises:
        ValueError: If `inference` is neither "sample" nor "mean", or if the model has no such
            layer.

    Example:

    >>> model = keras.Sequential([keras_slashed.layers.FixedRateVIB(rate=2.3)])
    >>> keras_slashed.layers.set_inference(model, "sample")
    >>> model.layers[0].inference
    'sample'
    """
    layers = list(model._flatten_layers()) if isinstance(model, keras.layers.Layer) else []
    sampling = [layer for layer in layers if isinstance(layer, SlashedNormalSampling)]
    if not sampling:
        raise ValueError(
            "Argument `model` must contain a SlashedNormalSampling or FixedRateVIB layer. "
            f"Received: model={model!r}"
        )
    for layer in sampling:
        layer.inference = inference
    for model in layers:
        if isinstance(model, keras.Model):
            for kind in ("train", "test", "predict"):
                _replace_function(model, kind)


def _replace_function(model, kind):
    """Replace a compiled function of a model, if it has one, by a new one."""
    if getattr(model, f"{kind}_function") is not None:
        # First None: on JAX a new function would use the trace of the old one while that exists.
        setattr(model, f"{kind}_function", None)
        getattr(model, f"make_{kind}_function")()
