"""A latent to diagnose: an encoder with its loss, or a layer of a compiled model."""

import inspect

from keras import ops
from keras import tree

from keras_slashed.diagnostics.compiled_loss import INSTEAD
from keras_slashed.diagnostics.compiled_loss import CompiledLoss
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.masks import mask_of
from keras_slashed.evaluation.model_cut import ModelCut
from keras_slashed.evaluation.named_layer import graph_of
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.reparameterize import on_prior


class EncoderAndLoss:
    """An encoder, and a loss of targets and draws.

    Attributes:
        encoder: Callable. It takes inputs and returns amplitudes.
        loss: Callable. It takes what `with_aside` returns and draws, and returns one number for
            each row.
        encoder_parts, loss_parts: Lists of objects that these call, for `Compiled`.
        beta: Float or None. Weight of the rate, or None if it is to be estimated.
    """

    beta = 1.0

    def __init__(self, encoder, loss):
        self.encoder, self.encoder_parts = encoder, [encoder]
        self.loss, self.loss_parts = loss, [loss]

    def with_aside(self, inputs, targets):
        """Return what the loss takes for a batch of inputs and their targets or None."""
        return inputs if targets is None else targets


class LatentLayer:
    """The latent of a compiled model, with the attributes of `EncoderAndLoss`.

    Args:
        model: Functional `keras.Model`, compiled with one loss.
        layer: String or layer. A `SlashedNormalSampling` or `FixedRateVIB`.
    """

    def __init__(self, model, layer):
        self._cut = ModelCut(model, layer)
        self._layer = self._cut.layer
        _check_layer(self._cut.name, self._layer)
        self._compiled_loss = CompiledLoss(model)
        self._output_shape = tuple(graph_of(model).outputs[0].shape)
        self.encoder_parts = self.loss_parts = [model]
        self._aside = Compiled(self._aside_of, [model]) if self._has_aside() else None
        weight = float(ops.convert_to_numpy(ops.convert_to_tensor(self._layer.kl_weight)))
        self.beta = weight if weight > 0 else None

    def encoder(self, inputs):
        given = self._arguments(inputs)
        masks = given.get("mask"), given.get("amplitude_mask"), mask_of(given["amplitude"])
        if any(mask is not None for mask in masks):
            raise ValueError(
                f"The amplitude of layer {self._cut.name!r} must not have a mask, since each of "
                "its positions counts as an instance. Diagnose sequences without padding, or pass "
                "an encoder, whose amplitude has no mask, and a `loss`. Received: a masked "
                f"amplitude of shape {tuple(given['amplitude'].shape)}"
            )
        if isinstance(self._layer, FixedRateVIB):
            return self._layer.rate_normalization(given["amplitude"], given.get("rate"))
        return given["amplitude"]

    def with_aside(self, inputs, targets):
        if targets is None:
            _check_own_targets(inputs, self._output_shape)
            targets = inputs
        aside = {} if self._aside is None else self._aside.predict_on_batch(inputs)
        return targets, aside

    def loss(self, targets, z):
        y, aside = targets
        prior = {name: aside[name] for name in aside if name.startswith("prior")}
        return self._compiled_loss(y, self._cut.tail(on_prior(z, **prior), aside))

    def _arguments(self, inputs):
        args, kwargs = self._cut.arguments(inputs)
        return inspect.signature(self._layer.call).bind(*args, **kwargs).arguments

    def _has_aside(self):
        symbolic = self._cut.call.node.arguments
        bound = inspect.signature(self._layer.call).bind(*symbolic.args, **symbolic.kwargs)
        given = {name for name, value in bound.arguments.items() if value is not None}
        if "rotation" in given:
            raise ValueError(
                f"Layer {self._cut.name!r} must have independent latent dimensions, without a "
                f"rotation. {INSTEAD} Received: a call with a rotation"
            )
        return bool(self._cut.around) or any(name.startswith("prior") for name in given)

    def _aside_of(self, inputs):
        given = self._arguments(inputs)
        prior = {
            name: _rows_of(name, value, given["amplitude"])
            for name, value in given.items()
            if name.startswith("prior") and value is not None
        }
        return self._cut.aside(inputs) | prior


def _rows_of(name, prior, amplitude):
    """Return a prior with the leading axes of the amplitude, so that its rows can be repeated."""
    prior = at_least_float32(ops.convert_to_tensor(prior))
    zeros = ops.zeros_like(amplitude[..., :1], dtype=prior.dtype)
    return prior + (ops.expand_dims(zeros, -1) if name == "prior_scale" else zeros)


def _check_layer(name, layer):
    if not isinstance(layer, (FixedRateVIB, SlashedNormalSampling)):
        raise ValueError(
            "Argument `layer` must be a SlashedNormalSampling or FixedRateVIB of the model. "
            f"{INSTEAD} Received: {name!r}, a {type(layer).__name__}"
        )
    sampling = getattr(layer, "sampling", layer)
    if sampling.num_samples is not None:
        raise ValueError(
            f"Layer {name!r} must return one draw. {INSTEAD} "
            f"Received: num_samples={sampling.num_samples}"
        )


def _check_own_targets(x, output_shape):
    """Raise a ValueError unless inputs can be the targets of a model."""
    if tree.is_nested(x):
        received = f"x of {type(x)} with {len(tree.flatten(x))} arrays"
    elif len(output_shape) <= x.ndim and output_shape[-1] == 1 != x.shape[-1]:
        received = f"x of shape {x.shape} for outputs of shape {output_shape}"
    else:
        return
    raise ValueError(
        "Argument `y` is required, unless `x` is a single array that is the target of the model, "
        f"as for an autoencoder. Received: y=None, and {received}"
    )
