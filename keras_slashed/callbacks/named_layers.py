"""The layers of a model that have a rate, by the names that appear in logs."""

import collections

import keras

from keras_slashed.layers.fixed_rate_vib import FixedRateVIB
from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling
from keras_slashed.rates.fixed_rate import FixedRate


def named_layers(model):
    """Return {name: layer} for all layers in a model that have a rate.

    A `FixedRateVIB` appears once, without its sublayers. Layers with the same name are
    distinguished by their paths, and by a number if their paths are also the same.
    """
    found = list(_layers_with_a_rate(model))
    names = [layer.name for _, layer in found]
    layers, seen = {}, collections.Counter()
    for path, layer in found:
        name = layer.name if names.count(layer.name) == 1 else path
        seen[name] += 1
        layers[name if seen[name] == 1 else f"{name}_{seen[name]}"] = layer
    return layers


def layers_with_a_weight(model):
    """Return the `SlashedNormalSampling` layers of `named_layers`, or those within its layers."""
    layers = {
        name: layer.sampling if isinstance(layer, FixedRateVIB) else layer
        for name, layer in named_layers(model).items()
    }
    return {name: part for name, part in layers.items() if isinstance(part, SlashedNormalSampling)}


def layers_with_a_fixed_rate(model):
    """Return {name: `RateNormalization`} for those `named_layers` whose rate is a `FixedRate`."""
    layers = {
        name: layer.rate_normalization if isinstance(layer, FixedRateVIB) else layer
        for name, layer in named_layers(model).items()
    }
    return {
        name: part
        for name, part in layers.items()
        if isinstance(getattr(part, "rate", None), FixedRate)
    }


def set_annealing_factor(model, factor):
    """Set the factor that multiplies the `kl_weight` of all layers of a model during training."""
    for layer in layers_with_a_weight(model).values():
        layer.kl_annealing_factor.assign(factor)


def log_weights(layers, logs):
    """Add the KL weights that named layers use in training to the logs of an epoch."""
    for name, layer in layers.items():
        factor = float(keras.ops.convert_to_numpy(layer.kl_annealing_factor))
        logs[f"{name}_kl_weight"] = layer.get_config()["kl_weight"] * factor


def _layers_with_a_rate(layer, path=()):
    """Yield the path and the layer of each layer below a layer that has a rate, once each.

    The function computes the paths itself, since `Layer.path` omits the functional submodel that
    contains a layer. It does not search the sublayers of a layer with a rate, so that
    `FixedRateVIB` counts as one.
    """
    seen = set()
    for child in layer._flatten_layers(recursive=False, include_self=False):
        child_path = (*path, child.name)
        if hasattr(child, "rate_tracker"):
            found = [("/".join(child_path), child)]
        else:
            found = _layers_with_a_rate(child, child_path)
        for name, found_layer in found:
            if id(found_layer) not in seen:
                seen.add(id(found_layer))
                yield name, found_layer
