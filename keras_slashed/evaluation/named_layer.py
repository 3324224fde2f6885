"""Layers of a model by name, in nested models too."""

import keras


def graph_of(model):
    """Return the functional model of a functional or Sequential model, or None without one."""
    graph = getattr(model, "_functional", model)  # of a Sequential model that is built
    has_graph = isinstance(graph, keras.Model) and hasattr(graph, "_inputs_struct")
    # A subclass may compute something else in its own `call`.
    if not has_graph or not all(_is_of_keras(part) for part in (model, graph)):
        return None
    return graph


def _is_of_keras(model):
    return type(model).call.__module__.startswith("keras.")


def find_layer(model, layer):
    """Return the path to a layer, a list of nested models that ends with the layer.

    Args:
        model: Functional or Sequential `keras.Model`.
        layer: String or layer. The name may be a path, such as "encoder/conv".

    Raises:
        ValueError: If there is no such layer, or there are several.
    """
    paths = list(_paths(model))
    if isinstance(layer, str):
        found = [
            path
            for path in paths
            if f"/{'/'.join(part.name for part in path)}".endswith(f"/{layer}")
        ]
        exact = [path for path in found if len(path) == layer.count("/") + 1]
        found = exact if len(exact) == 1 else found
    else:
        found = [path for path in paths if path[-1] is layer]
    if len(found) == 1:
        return found[0]
    received = repr(layer) if isinstance(layer, str) else f"the layer {_name(layer)!r}"
    if found:
        several = ", ".join(repr("/".join(part.name for part in path)) for path in found)
        raise ValueError(
            f"Argument `layer` must name one layer. Several have this name: {several}. Pass the "
            f"path or the layer itself. Received: layer={received}"
        )
    raise ValueError(
        f"Argument `layer` must be a layer in the graph of the model. {_hint(model, layer, paths)}"
        f"Received: layer={received}"
    )


def _paths(model):
    for operation in graph_of(model).operations:
        yield [operation]
        if graph_of(operation) is not None:
            yield from ([operation, *path] for path in _paths(operation))


def _hint(model, layer, paths):
    for path in paths:
        parts = path[-1]._flatten_layers() if isinstance(path[-1], keras.layers.Layer) else ()
        if any(layer is part or layer == part.name for part in parts):
            return (
                f"It is a part of {path[-1].name!r}, which has no graph of its own: choose that "
                "layer, or pass the part of the model after yours as a callable. "
            )
    names = ", ".join(repr("/".join(part.name for part in path)) for path in paths[:40])
    return f"Expected one of {names}{', ...' if len(paths) > 40 else ''}. "


def _name(layer):
    return getattr(layer, "name", type(layer).__name__)
