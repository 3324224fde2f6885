"""What is perturbed: the float inputs of a model, or the output of one of its layers."""

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.model_cut import ModelCut
from keras_slashed.evaluation.named_layer import graph_of
from keras_slashed.evaluation.named_output import select_output
from keras_slashed.ops.floats import at_least_float32


class ModelInputs:
    """The float inputs of a model, which are perturbed, and its other inputs, which are not.

    Args:
        model: Keras model or callable.
        x: Array, or a nested structure of arrays. Inputs of the model.
        output: String, integer or None. The output of the model, if there are several.

    Attributes:
        paths: List of tuples. The place of each perturbed input in the structure of x.
    """

    def __init__(self, model, x, output):
        self._model, self._output = model, output
        self._structure = x
        graph, count = graph_of(model), len(tree.flatten(x))
        if graph is not None and len(graph.inputs) != count:
            names = [tensor.name for tensor in graph.inputs]
            raise _wrong_input(f"{count} for a model with the inputs {names}", x)
        arrays = tree.flatten_with_path(as_arrays(x))
        self.paths = [path for path, array in arrays if _is_float(array)]
        for _, array in arrays:
            if _is_float(array) and array.ndim < 2:
                raise _wrong_input(described(array), x)
        if not self.paths:
            raise _wrong_input(", ".join(described(array) for _, array in arrays), x)

    def split(self, x, name="x"):
        """Return the perturbed arrays, a list, and the others, a list, of inputs."""
        leaves = tree.flatten(as_arrays(x, name))
        perturbed = [as_float(array) for array in leaves if _is_float(array)]
        return perturbed, [array for array in leaves if not _is_float(array)]

    def output_of(self, perturbed, others):
        """Return the output of the model for tensors in the place of both."""
        perturbed, others = iter(perturbed), iter(others)
        leaves = [
            next(perturbed if path in self.paths else others)
            for path, _ in tree.flatten_with_path(self._structure)
        ]
        inputs = tree.pack_sequence_as(self._structure, leaves)
        return select_output("model", self._model(inputs), self._output, self._model)

    def structured(self, values):
        """Return one value for each perturbed input in the structure of x."""
        values = iter(values)
        paths = [path for path, _ in tree.flatten_with_path(self._structure)]
        leaves = [next(values) if path in self.paths else None for path in paths]
        return tree.pack_sequence_as(self._structure, leaves)


class LayerOutput:
    """The output of a layer, which is perturbed, and what goes around it, which is not.

    Args:
        model: Functional or Sequential `keras.Model`.
        layer: String or layer.
        output: String, integer or None. The output of the model, if there are several.
        batch_size: Integer. Number of inputs in one computation.
    """

    def __init__(self, model, layer, output, batch_size):
        self.paths = [()]
        self._cut, self._batch_size = ModelCut(model, layer, output), batch_size
        self._head = Compiled(self._wide_head, [model])
        cut = self._cut
        # Numbers that go around would carry information that the map does not show. Masks, and
        # what is computed from other integer inputs, such as positions, may go around.
        hidden = [
            x for x in cut.around if x.dtype != "bool" and (x.shares_input or x.has_float_input)
        ]
        if hidden:
            received = ", ".join(f"{x.name!r} of shape {x.shape}" for x in hidden)
            raise ValueError(
                f"The output of layer {cut.name!r} is not the only way from the inputs of the "
                "model to its output, and its map would not show all that the model uses. Choose "
                "a layer through which everything passes, or pass the part of the model after "
                "these tensors as a callable, with all of them as `x`. "
                f"Received: these tensors go around the layer: {received}"
            )

    def split(self, x, name="x"):
        """Return the output of the layer, a list of one array, and the rest, a dict of arrays."""
        x = as_arrays(x, name)
        parts = [
            {name: np.asarray(array)[:length] for name, array in part.items()}
            for part, length in (
                (self._head.predict_on_batch(batch), length)
                for batch, length in padded_batches(x, self._batch_size)
            )
        ]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        values = whole.pop("output")
        if not _is_float(values) or values.ndim < 2:
            raise ValueError(
                f"Layer {self._cut.name!r} must return a float tensor of shape (batch, ..., C). "
                "Choose another layer, such as the embedding of the integers that it returns. "
                f"Received: dtype {values.dtype} and shape {values.shape}"
            )
        rows = len(tree.flatten(x)[0])
        if len(values) != rows:
            raise ValueError(
                f"Layer {self._cut.name!r} must return one row for each of the {rows} inputs. "
                f"Received: an output of shape {values.shape}"
            )
        _check_finite(f"The output of layer {self._cut.name!r}", values)
        return [as_float(values)], whole

    def output_of(self, perturbed, others):
        """Return the output of the model for tensors in the place of both."""
        (output,) = perturbed
        return self._cut.tail(output, others)

    def structured(self, values):
        """Return the only value."""
        (value,) = values
        return value

    def _wide_head(self, inputs):
        return tree.map_structure(
            lambda x: at_least_float32(x) if keras.backend.is_float_dtype(x.dtype) else x,
            self._cut.head(inputs),
        )


def as_arrays(x, name="x"):
    """Return x with NumPy arrays as leaves. Raise a ValueError if a leaf is no array.

    Args:
        name: String. Name of the argument in an error.
    """

    def to_array(leaf):
        if ops.is_tensor(leaf):
            leaf = ops.convert_to_numpy(leaf)
        is_array = isinstance(leaf, np.ndarray) and leaf.ndim > 0
        if not is_array or leaf.dtype.kind not in "fiub":
            raise _wrong_input(described(leaf), x, name)
        if _is_float(leaf):
            _check_finite(f"Argument `{name}`", leaf)
        return leaf

    arrays = tree.map_structure(to_array, x)
    if not tree.flatten(arrays):
        raise _wrong_input("nothing", x, name)
    lengths = {len(array) for array in tree.flatten(arrays)}
    if len(lengths) > 1:
        raise ValueError(
            f"The arrays of argument `{name}` must have first axes of the same length. "
            f"Received lengths: {sorted(lengths)}"
        )
    return arrays


def as_float(array):
    """Return an array in the float dtype of the computation."""
    return array.astype("float64" if keras.config.floatx() == "float64" else "float32")


def described(value):
    """Return the type of a value, with its dtype and shape if it is an array."""
    if not isinstance(value, np.ndarray):
        return str(type(value))
    return f"an array of dtype {value.dtype} and shape {value.shape}"


def _is_float(array):
    return np.issubdtype(array.dtype, np.floating)


def _wrong_input(received, x, name="x"):
    received = received if not isinstance(x, (list, tuple, dict)) else f"{type(x)} of {received}"
    return ValueError(
        f"Argument `{name}` must be a float array of shape (N, ..., C), or a list or dict of "
        "arrays for a model with several inputs, of which at least one is a float array. For "
        "integer inputs such as the ids of tokens, choose the layer to perturb, such as an "
        f"embedding, with the argument `layer`. Received: {received}"
    )


def _check_finite(name, array):
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite. Received: an array with NaN or infinity")
