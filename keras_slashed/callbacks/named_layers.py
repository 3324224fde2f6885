"""The layers of a model that have a rate, and its weight, by the names that logs give them."""

import collections

import keras

from keras_slashed.layers.fixed_rate_vib import FixedRateVIB
from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling
from keras_slashed.rates.fixed_rate import FixedRate


def named_layers(model):
    """Return {name: layer} of the layers below a model that have a rate.

    `FixedRateVIB` once, not its parts. Layers of one name are told apart by their
    paths, and by a number where these are equal too.
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
    """Return the `SlashedNormalSampling` layers of `named_layers`, or those within them."""
    layers = {
        name: layer.sampling if isinstance(layer, FixedRateVIB) else layer
        for name, layer in named_layers(model).items()
    }
    return {name: part for name, part in layers.items() if isinstance(part, SlashedNormalSampling)}


def layers_with_a_fixed_rate(model):
    """Return {name: `RateNormalization`} of `named_layers`, where the rate is a `FixedRate`."""
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
    """Set what multiplies the `kl_weight` of all layers of a model in training."""
    for layer in layers_with_a_weight(model).values():
        layer.kl_annealing_factor.assign(factor)


def log_weights(layers, logs):
    """Write to the logs of an epoch the weight of the KL that named layers use in training."""
    for name, layer in layers.items():
        factor = float(keras.ops.convert_to_numpy(layer.kl_annealing_factor))
        logs[f"{name}_kl_weight"] = layer.get_config()["kl_weight"] * factor


def _layers_with_a_rate(layer, path=()):
    """Yield the paths and layers below a layer that have a rate, each once.

    Paths of our own: `Layer.path` leaves out the functional submodel a layer is
    in. A layer's parts are not looked into, so `FixedRateVIB` is one.
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
