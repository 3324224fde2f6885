"""The loss of a classifier's output, with one number for each row."""

import keras
import numpy as np
from keras import ops

from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.metrics.posterior import output_of
from keras_slashed.ops.floats import at_least_float32


def class_loss(model, x, y, loss, batch_size):
    """Return the labels of inputs, and a loss for the outputs of a model.

    Args:
        model: Keras model or callable. It takes inputs and returns class scores.
        x: NumPy array. All inputs.
        y: Array or None. Labels, or None for the classes that the model predicts.
        loss: Callable or None. A custom loss, or None for the cross-entropy. The cross-entropy
            treats the outputs of the model as probabilities if they are such.
        batch_size: Integer. Number of inputs in one computation.

    Returns:
        `(y, loss)`: a NumPy array, and a function of labels and outputs.
    """
    if y is not None:
        y = ops.convert_to_numpy(y) if ops.is_tensor(y) else np.asarray(y)
        if y.ndim == 0 or len(y) != len(x):
            raise ValueError(
                f"Argument `y` must have a row for each of the {len(x)} inputs. "
                f"Received: y.shape={y.shape}"
            )
    if loss is not None:
        if y is None:
            raise ValueError("Argument `loss` requires the argument `y`. Received: y=None")
        return y, loss
    outputs = _outputs(model, x if y is None else x[:batch_size], batch_size)
    if y is None:
        y = np.argmax(outputs, axis=-1)
    _check_classes(y, outputs.shape[-1])
    return y.astype("int32"), _crossentropy(from_logits=not _are_probabilities(outputs))


def _outputs(model, x, batch_size):
    compiled = Compiled(lambda batch: at_least_float32(output_of("model", model, batch)), [model])
    outputs = [
        np.asarray(compiled.predict_on_batch(batch))[:length]
        for batch, length in padded_batches(x, batch_size)
    ]
    if outputs[0].ndim != 2 or outputs[0].shape[1] < 2:
        raise ValueError(
            "Argument `model` must return scores of two or more classes, of shape (batch, "
            "classes). For other outputs, pass a `loss`. Received: outputs of shape "
            f"{outputs[0].shape}"
        )
    return np.concatenate(outputs)


def _are_probabilities(outputs):
    return np.all(outputs >= 0) and np.allclose(np.sum(outputs, axis=-1), 1.0, atol=1e-2)


def _check_classes(y, classes):
    integers = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    if not integers or y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"Argument `y` must be integer classes from 0 to {classes - 1}, one for each input. "
            f"Received: an array of dtype {y.dtype} and shape {y.shape}"
            + (f", from {y.min()} to {y.max()}" if y.size else "")
        )


def _crossentropy(from_logits):
    def crossentropy(y, outputs):
        return keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=from_logits)

    return crossentropy
