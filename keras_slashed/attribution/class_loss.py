"""The loss of a classifier's output, with one number for each row."""

import keras
import numpy as np
from keras import ops

from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.named_layer import graph_of
from keras_slashed.evaluation.named_output import select_output
from keras_slashed.one_tensor import check_one_output
from keras_slashed.ops.floats import at_least_float32

_BY_NAME = "You can also name it with the argument `output`. "


def class_loss(model, function, x, y, loss, batch_size, from_logits, output):
    """Return the labels of inputs, and a loss for the outputs of a model.

    Args:
        model: Keras model or callable, which shows whether its outputs are logits.
        function: Callable. It takes a batch of x and returns the outputs of the model.
        x: Nested structure of NumPy arrays. All inputs of the function.
        y: Array or None. Labels, or None for the classes that the model predicts.
        loss: Callable or None. A custom loss, or None for the cross-entropy.
        batch_size: Integer. Number of inputs in one computation.
        from_logits: Boolean or None. Whether the outputs are logits. None finds out.
        output: String, integer or None. The output of the model, if there are several.

    Returns:
        `(y, loss)`: a NumPy array, and a function of labels and outputs.
    """
    rows = len(keras.tree.flatten(x)[0])
    if y is not None:
        y = ops.convert_to_numpy(y) if ops.is_tensor(y) else np.asarray(y)
        if y.ndim == 0 or len(y) != rows:
            raise ValueError(
                f"Argument `y` must have a row for each of the {rows} inputs. "
                f"Received: y.shape={y.shape}"
            )
    if loss is not None:
        if y is None:
            raise ValueError("Argument `loss` requires the argument `y`. Received: y=None")
        return y, loss
    few = keras.tree.map_structure(lambda leaf: leaf[:batch_size], x)
    outputs = _outputs(model, function, x if y is None else few, batch_size)
    if outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1):
        if from_logits is None:
            from_logits = _is_logit(model, output, outputs)
        return _binary(y, outputs, from_logits)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise _wrong_outputs(f"outputs of shape {outputs.shape}")
    if from_logits is None:
        from_logits = not _are_probabilities(outputs)
    return _classes(y, outputs), _crossentropy(from_logits)


def _outputs(model, function, x, batch_size):
    def one_output(batch):
        outputs = function(batch)
        check_one_output("model", model, outputs, _BY_NAME)
        return at_least_float32(ops.convert_to_tensor(outputs))

    compiled = Compiled(one_output, [model])
    outputs = [
        np.asarray(compiled.predict_on_batch(batch))[:length]
        for batch, length in padded_batches(x, batch_size)
    ]
    return np.concatenate(outputs)


def _wrong_outputs(received):
    return ValueError(
        "Argument `model` must return scores of two or more classes, of shape (batch, classes), or "
        "one unit for a `y` of 0 and 1, of shape (batch, 1). For other outputs, pass a `loss`. "
        f"Received: {received}"
    )


def _binary(y, outputs, from_logits):
    """Return labels of shape (N, 1), and the cross-entropy of one unit."""
    if y is None:
        y = outputs.reshape(len(outputs)) > (0.0 if from_logits else 0.5)
    if y.shape not in ((len(y),), (len(y), 1)) or not np.all((y == 0) | (y == 1)):
        raise _wrong_outputs(f"a single unit, and y of shape {y.shape}, not all 0 or 1")

    def crossentropy(y, outputs):
        outputs = ops.reshape(at_least_float32(outputs), (-1, 1))
        return keras.losses.binary_crossentropy(y, outputs, from_logits=from_logits)

    return y.reshape(-1, 1).astype("float32"), crossentropy


def _is_logit(model, output, outputs):
    """Return whether one unit is a logit: by its activation, or else by its range."""
    activation = _last_activation(model, output)
    if activation is not None:
        return activation not in (keras.activations.sigmoid, keras.activations.hard_sigmoid)
    return not np.all((outputs >= 0) & (outputs <= 1))


def _last_activation(model, output):
    """Return the activation of the layer that returns an output, or None if it is not known."""
    graph = graph_of(model)
    if graph is None:
        return None
    outputs = graph.outputs[0] if len(graph.outputs) == 1 else graph.output
    operation, _, index = select_output("model", outputs, output, model)._keras_history
    if graph_of(operation) is not None:
        inner = graph_of(operation)
        if not isinstance(inner.output, dict):
            return _last_activation(inner, None if len(inner.outputs) == 1 else index)
    return getattr(operation, "activation", None)


def _are_probabilities(outputs):
    return np.all(outputs >= 0) and np.allclose(np.sum(outputs, axis=-1), 1.0, atol=1e-2)


def _classes(y, outputs):
    """Return integer classes for such classes, for one-hot rows, or for None."""
    classes = outputs.shape[-1]
    if y is None:
        y = np.argmax(outputs, axis=-1)
    elif y.ndim == 2 and y.shape[1] == classes and _are_one_hot(y):
        y = np.argmax(y, axis=-1)
    elif y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    integers = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    if not integers or y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"Argument `y` must be integer classes from 0 to {classes - 1}, one for each input, or "
            "one-hot rows. "
            f"Received: an array of dtype {y.dtype} and shape {y.shape}"
            + (f", from {y.min()} to {y.max()}" if y.size else "")
        )
    return y.astype("int32")


def _are_one_hot(y):
    return np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=-1) == 1)


def _crossentropy(from_logits):
    def crossentropy(y, outputs):
        return keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=from_logits)

    return crossentropy
