"""A functional or Sequential model, cut at the output of one of its layers."""

import inspect
from typing import NamedTuple

import keras
from keras import ops
from keras import tree

from keras_slashed.evaluation.masks import mask_of
from keras_slashed.evaluation.masks import with_mask
from keras_slashed.evaluation.named_layer import find_layer
from keras_slashed.evaluation.named_layer import graph_of
from keras_slashed.evaluation.named_output import select_output

_INSTEAD = "or pass the part of the model after the layer as a callable, with its inputs as `x`"


class Around(NamedTuple):
    """A tensor that reaches the result of a model without passing through a layer.

    Attributes:
        name: String. Name of the input or of the operation that returns it.
        shape: Tuple of integers and None.
        dtype: String.
        shares_input: Boolean. Whether it depends on an input on which the layer depends too.
        has_float_input: Boolean. Whether it depends on a float input.
    """

    name: str
    shape: tuple
    dtype: str
    shares_input: bool
    has_float_input: bool


class ModelCut:
    """The head of a model, up to the output of a layer, and its tail, from there on.

    Both call the layers of the model in inference mode. Nothing is added to the graph of the
    model, and nothing is copied. The masks of Keras pass the cut.

    Args:
        model: Functional or Sequential `keras.Model`.
        layer: String or `keras.layers.Layer`. The layer, by its name or as an object. It may be
            in a nested model: the name is then its own or a path, such as "encoder/conv".
        output: String, integer or None. The output of the model, if there are several.

    Attributes:
        layer: The layer.
        name: String. The path of the layer.
        output: `keras.KerasTensor`. The symbolic output of the layer.
        around: List of `Around`. The tensors from which the tail computes its result, except for
            the output of the layer.

    Raises:
        ValueError: If the model has no graph, or the layer is not called exactly once in it, does
            not return one tensor, or does not contribute to the output.
    """

    def __init__(self, model, layer, output=None):
        self._graph = graph_of(model)
        if self._graph is None:
            raise ValueError(
                "Argument `layer` requires a functional or Sequential model that is built, since "
                f"only such a model has a graph to cut. Call the model on data, {_INSTEAD}. "
                f"Received: {_kind(model)}"
            )
        path = find_layer(model, layer)
        self.layer, self.name = path[-1], "/".join(part.name for part in path)
        outputs = self._graph.output
        if isinstance(outputs, (list, tuple)) and len(outputs) == 1:  # as the model unpacks it
            (outputs,) = outputs
        self._target = select_output("model", outputs, output, model)
        if not hasattr(self._target, "_keras_history"):
            raise ValueError(
                "A model with several outputs requires the argument `output`, the name or the "
                f"index of one of them. Received: {model.output_names}"
            )
        steps = _steps(self._graph, [self._target], {id(part) for part in path[:-1]})
        self.call = self._only_call(steps)
        self.output = self._only_output()
        self._dtype = keras.backend.standardize_dtype(self.output.dtype)
        self._divide(steps)

    def _only_call(self, steps):
        calls = [step for step in steps if getattr(step, "operation", None) is self.layer]
        if not calls:
            raise self._no_way()
        if len(calls) != 1:
            raise ValueError(
                f"The cut requires one call of layer {self.name!r} on the way to the output. "
                f"Choose another layer, {_INSTEAD}. Received: {len(calls)} calls"
            )
        return calls[0]

    def _only_output(self):
        struct = self.call.node.outputs
        if len(struct) != 1:
            received = ", ".join(str(tuple(tensor.shape)) for tensor in struct)
            raise ValueError(
                f"Layer {self.name!r} must return one tensor. Choose a layer after it, "
                f"{_INSTEAD}. Received: outputs of shapes {received}"
            )
        return struct[0]

    def _no_way(self):
        return ValueError(
            f"The output of the model does not depend on layer {self.name!r}, or the layer is an "
            "input. Choose another layer, or another output with the argument `output`."
        )

    def _divide(self, steps):
        after, self._tail_steps, crossing = {id(self.output)}, [], {}
        needed = _ancestors(steps, [self._target])  # a nested model may have unused outputs
        for step in steps:
            if (
                id(step) in needed
                and step is not self.call
                and any(id(x) in after for x in step.inputs)
            ):
                self._tail_steps.append(step)
                after |= {id(x) for x in step.outputs}
        if id(self._target) not in after:
            raise self._no_way()
        for step in self._tail_steps:
            crossing |= {id(x): x for x in step.inputs if id(x) not in after}
        self._crossing = list(crossing.values())
        before = _ancestors(steps, [self.output])
        self._layer_steps = [step for step in steps if id(step) in before]
        self._around_steps = [
            step for step in steps if id(step) in _ancestors(steps, self._crossing)
        ]
        used = self._inputs_of(steps, self.output)
        self.around = []
        for x in self._crossing:
            own = self._inputs_of(steps, x)
            is_float = [keras.backend.is_float_dtype(self._graph.inputs[i].dtype) for i in own]
            dtype = keras.backend.standardize_dtype(x.dtype)
            name = x._keras_history.operation.name
            self.around.append(Around(name, tuple(x.shape), dtype, bool(own & used), any(is_float)))

    def _inputs_of(self, steps, tensor):
        """Return the indices of the inputs of the model on which a tensor depends."""
        before = _ancestors(steps, [tensor])
        seen = {id(x) for step in steps if id(step) in before for x in step.inputs} | {id(tensor)}
        return {index for index, x in enumerate(self._graph.inputs) if id(x) in seen}

    def head(self, inputs):
        """Return the output of the layer with what goes around it, for inputs of the model.

        Returns:
            Dict of tensors for `tail`. "output" is the output of the layer.
        """
        output = self._run(self._layer_steps, inputs)[id(self.output)]
        self._dtype = keras.backend.standardize_dtype(output.dtype)
        return self._with_masks({"output": output}) | self.aside(inputs)

    def aside(self, inputs):
        """Return what goes around the layer, a dict of tensors for `tail`."""
        found = self._run(self._around_steps, inputs)
        named = {f"around_{i}": found[id(x)] for i, x in enumerate(self._crossing)}
        return self._with_masks(named)

    def arguments(self, inputs):
        """Return the arguments, a tuple, and keyword arguments, a dict, of the layer's call."""
        steps = [step for step in self._layer_steps if step is not self.call]
        return self.call.node.arguments.fill_in(self._run(steps, inputs))

    def tail(self, output, state):
        """Return the output of the model for an output of the layer.

        Args:
            output: Tensor in the place of the output of the layer.
            state: Dict of tensors from `head` or `aside`. An entry "output" has no effect.
        """
        # A layer casts its inputs, but an operation does not.
        tensors = state | {"output": ops.cast(output, self._dtype)}
        symbols = {"output": self.output} | {
            f"around_{index}": x for index, x in enumerate(self._crossing)
        }
        values = {}
        for name, symbol in symbols.items():
            mask = state.get(f"{name}_mask")
            values[id(symbol)] = with_mask(tensors[name], mask)
        for step in self._tail_steps:
            step.run(values)
        return values[id(self._target)]

    def _run(self, steps, inputs):
        values = dict(zip(map(id, self._graph.inputs), self._graph._standardize_inputs(inputs)))
        for step in steps:
            step.run(values)
        return values

    def _with_masks(self, tensors):
        masks = {f"{name}_mask": mask_of(tensor) for name, tensor in tensors.items()}
        return tensors | {name: mask for name, mask in masks.items() if mask is not None}


class _Call:
    """The call of an operation in a graph."""

    def __init__(self, node):
        self.node, self.operation = node, node.operation
        self.inputs, self.outputs = node.input_tensors, node.outputs
        call = getattr(self.operation, "call", None)
        self._takes_training = call is not None and "training" in inspect.signature(call).parameters

    def run(self, values):
        args, kwargs = self.node.arguments.fill_in(values)
        if self._takes_training:
            kwargs["training"] = False
        outputs = tree.flatten(self.operation(*args, **kwargs))
        values.update(zip(map(id, self.outputs), outputs))


class _Entry:
    """The way of a tensor into a nested model."""

    def __init__(self, outer, inner):
        self.inputs, self.outputs = [outer], [inner]

    def run(self, values):
        (outer,), (inner,) = self.inputs, self.outputs
        given = values[id(outer)]
        x, mask = ops.cast(given, inner.dtype), mask_of(given)
        if len(x.shape) == len(inner.shape) - 1:
            x = ops.expand_dims(x, -1)
        elif len(x.shape) == len(inner.shape) + 1:
            x = ops.squeeze(x, -1)
        values[id(inner)] = with_mask(x, mask)


class _Exit:
    """The way of a tensor out of a nested model."""

    def __init__(self, inner, outer):
        self.inputs, self.outputs = [inner], [outer]

    def run(self, values):
        values[id(self.outputs[0])] = values[id(self.inputs[0])]


def _steps(graph, targets, opened):
    """Return the steps that compute tensors of a graph, in order.

    Args:
        graph: Functional model.
        targets: List of symbolic tensors.
        opened: Set of ids of nested models. Their own steps take the place of their calls.
    """
    steps, visited, given = [], set(), {id(x) for x in graph.inputs}

    def visit(tensor):
        operation, index, _ = tensor._keras_history
        if id(tensor) in given or operation is None:
            return
        node = operation._inbound_nodes[index]
        if id(node) in visited:
            return
        visited.add(id(node))
        for x in node.input_tensors:
            visit(x)
        if id(operation) not in opened:
            steps.append(_Call(node))
            return
        inner = graph_of(operation)
        steps.extend(map(_Entry, _given(node, inner), inner.inputs))
        steps.extend(_steps(inner, inner.outputs, opened))
        steps.extend(map(_Exit, inner.outputs, node.outputs))

    for target in targets:
        visit(target)
    return steps


def _given(node, graph):
    """Return the tensors that a call gives to a nested model, one for each of its inputs."""
    arguments = node.arguments
    given = arguments.args[0] if arguments.args else arguments.kwargs["inputs"]
    if isinstance(given, dict) and not isinstance(graph.input, dict):
        return [given[x.name] for x in graph.inputs]
    return tree.flatten(given)


def _ancestors(steps, tensors):
    """Return the ids of the steps from which tensors are computed."""
    wanted, found = {id(x) for x in tensors}, set()
    for step in reversed(steps):
        if any(id(x) in wanted for x in step.outputs):
            found.add(id(step))
            wanted |= {id(x) for x in step.inputs}
    return found


def _kind(model):
    return f"a {type(model).__name__}" + ("" if isinstance(model, keras.Model) else ", no model")
