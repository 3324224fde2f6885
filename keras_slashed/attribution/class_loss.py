"""The loss of a classifier's output, with one number for each row."""

import keras
import numpy as np
from keras import ops

from keras_slashed.attribution.last_activation import last_activation
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.one_tensor import check_one_output
from keras_slashed.ops.floats import at_least_float32

_SIGMOIDS = keras.activations.sigmoid, keras.activations.hard_sigmoid
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
    outputs_of = _compiled_outputs(model, function, batch_size)
    few = keras.tree.map_structure(lambda leaf: leaf[:batch_size], x)
    outputs = outputs_of(x if y is None else few)
    is_unit = outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1)
    if not is_unit and (outputs.ndim != 2 or outputs.shape[1] < 2):
        raise _wrong_outputs(f"outputs of shape {outputs.shape}")
    if from_logits is None:
        probable = _SIGMOIDS if is_unit else (keras.activations.softmax,)
        activation = last_activation(model, output)
        if activation is keras.activations.linear or activation in probable:
            from_logits = activation is keras.activations.linear
        else:
            outputs = outputs if len(outputs) == rows else outputs_of(x)
            from_logits = not _are_probabilities(outputs, is_unit)
    if is_unit:
        return _binary(y, outputs, from_logits)
    return _classes(y, outputs), _crossentropy(from_logits)


def _compiled_outputs(model, function, batch_size):
    """Return a function from all inputs to all outputs, NumPy arrays."""

    def one_output(batch):
        outputs = function(batch)
        check_one_output("model", model, outputs, _BY_NAME)
        return at_least_float32(ops.convert_to_tensor(outputs))

    compiled = Compiled(one_output, [model])

    def outputs_of(x):
        batches = padded_batches(x, batch_size)
        outputs = [np.asarray(compiled.predict_on_batch(batch))[:rows] for batch, rows in batches]
        return np.concatenate(outputs)

    return outputs_of


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
        if from_logits:
            return keras.losses.binary_crossentropy(y, outputs, from_logits=True)
        return _surprise(ops.where(y > 0, outputs, 1 - outputs))[:, 0]

    return y.reshape(-1, 1).astype("float32"), crossentropy


def _are_probabilities(outputs, is_unit):
    """Return whether all outputs are in [0, 1] or, of several classes, positive with a sum of 1."""
    if is_unit:
        return bool(np.all((outputs >= 0) & (outputs <= 1)))
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
        outputs = at_least_float32(outputs)
        if from_logits:
            return keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True)
        probability = ops.take_along_axis(outputs, ops.expand_dims(y, -1), axis=-1)[:, 0]
        return _surprise(probability / ops.sum(outputs, axis=-1))

    return crossentropy


def _surprise(probability):
    """Return `-log(probability)`, of the smallest normal number if it is 0.

    Keras' own losses stop at a probability of 1e-7, beyond which their gradient is 0.
    """
    tiny = float(np.finfo(keras.backend.standardize_dtype(probability.dtype)).tiny)
    return -ops.log(ops.where(probability > tiny, probability, tiny * ops.ones_like(probability)))
