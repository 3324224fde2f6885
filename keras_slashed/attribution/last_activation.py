"""The activation of the layer that computes the values of a model's output."""

from keras import activations

from keras_slashed.evaluation.named_layer import graph_of
from keras_slashed.evaluation.named_output import select_output

# Layers and operations of Keras that keep the values of a tensor at inference, by their classes.
_KEEPING = {
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("Identity", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("Cast", "Copy", "ExpandDims", "Flatten", "GetItem", "Permute", "Ravel", "Reshape", "Squeeze"),
    "Transpose",
}


def last_activation(model, output=None):
    """Return the activation of the layer that computes an output of a model.

    Layers after it that keep its values, such as `Reshape` or `Dropout`, do not count.

    Args:
        model: Keras model or callable.
        output: String, integer or None. The output of the model, if there are several.

    Returns:
        Callable, or None if it is not known.
    """
    graph = graph_of(model)
    if graph is None:
        return None
    outputs = graph.outputs[0] if len(graph.outputs) == 1 else graph.output
    return _activation_of(select_output("model", outputs, output, model), ())


def _activation_of(tensor, outer):
    """Return the activation that computes a symbolic tensor.

    Args:
        tensor: `keras.KerasTensor` of a graph.
        outer: Tuple of the calls of nested models that contain the graph, the innermost last.
    """
    operation, node_index, index = tensor._keras_history
    node = operation._inbound_nodes[node_index]
    graph = graph_of(operation)
    if graph is not None:
        return _activation_of(graph.outputs[index], (*outer, node))
    if not node.input_tensors:  # an input of the graph
        inputs = outer[-1].input_tensors if outer else ()
        return _activation_of(inputs[0], outer[:-1]) if len(inputs) == 1 else None
    activation = getattr(operation, "activation", None)
    if len(node.input_tensors) == 1 and _keeps_values(operation, activation):
        return _activation_of(node.input_tensors[0], outer)
    return activation


def _keeps_values(operation, activation):
    kind = type(operation)
    if not kind.__module__.startswith("keras."):
        return False
    return kind.__name__ in _KEEPING or (
        kind.__name__ == "Activation" and activation is activations.linear
    )
