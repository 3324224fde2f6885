"""The layers of a model that have a rate, and its weight, by the names that logs give them."""

import collections

import keras


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
    """Return those of `named_layers` that weigh their rate in the loss by `kl_weight`."""
    layers = named_layers(model)
    return {name: layer for name, layer in layers.items() if hasattr(layer, "kl_weight_at_build")}


def log_weights(layers, logs):
    """Write the `kl_weight` of named layers to the logs of an epoch."""
    for name, layer in layers.items():
        logs[f"{name}_kl_weight"] = float(keras.ops.convert_to_numpy(layer.kl_weight))


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
