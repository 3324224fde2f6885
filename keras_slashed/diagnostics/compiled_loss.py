"""The loss of a compiled model, with one number for each row."""

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_slashed.evaluation.model_cut import mask_of
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.validation import may_be_equal

INSTEAD = "Otherwise pass an encoder and a `loss`."
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class CompiledLoss:
    """The loss that `fit` minimizes, without its mean over the batch.

    As Keras does, it casts targets and outputs to the dtype of the loss, gives both the same rank
    for a loss that is a function or a name, and multiplies the loss by its `loss_weights`.

    Args:
        model: `keras.Model`, compiled with one loss.

    Raises:
        ValueError: If the model is not compiled with one loss that is a mean over the batch, or
            its weight is not one number.
    """

    def __init__(self, model):
        loss = getattr(model, "loss", None)
        if loss is None or isinstance(loss, (list, tuple, dict)):
            raise ValueError(
                "The model must be compiled with one loss, not with several. "
                f"{INSTEAD} Received: model.loss={loss!r}"
            )
        by_shape = str(loss).lower() in ("crossentropy", "ce")
        self._loss = _crossentropy if by_shape else keras.losses.get(loss)
        self._is_object = isinstance(self._loss, keras.losses.Loss)
        if self._is_object and self._loss.reduction not in _MEANS:
            raise ValueError(
                "The compiled loss must be a mean over the batch, as the rate is. "
                f"{INSTEAD} Received: reduction={self._loss.reduction!r}"
            )
        self._weight = _weight(model._compile_loss._user_loss_weights)

    def __call__(self, y, outputs):
        """Return the loss of each row, `(n,)`, for targets and outputs of the model."""
        leaves = tree.flatten(y)
        if len(leaves) != 1:
            raise ValueError(
                "Argument `y` must be one array for a model with one output. "
                f"{INSTEAD} Received: {len(leaves)} arrays"
            )
        _check_no_mask(outputs)
        dtype = self._loss.dtype if self._is_object else keras.config.floatx()
        y, outputs = (ops.convert_to_tensor(x, dtype=dtype) for x in (leaves[0], outputs))
        if self._is_object:
            losses = self._loss.call(y, outputs)
        else:
            losses = self._loss(*_of_same_rank(y, outputs))
        _check_no_mask(losses)
        losses = at_least_float32(ops.convert_to_tensor(losses))
        if not len(losses.shape) or not may_be_equal(losses.shape[0], outputs.shape[0]):
            raise ValueError(
                "The compiled loss must return one number or more for each row, not their mean. "
                f"{INSTEAD} Received: a loss of shape {tuple(losses.shape)} for outputs of shape "
                f"{tuple(outputs.shape)}"
            )
        return self._weight * ops.mean(losses, axis=tuple(range(1, len(losses.shape))))


def _weight(weights):
    """Return the only one of `loss_weights` as a number."""
    leaves = tree.flatten(weights)
    if len(leaves) == 1:
        weight = 1.0 if leaves[0] is None else leaves[0]
        is_tensor = ops.is_tensor(weight) or isinstance(weight, keras.Variable)
        weight = np.asarray(ops.convert_to_numpy(weight) if is_tensor else weight)
        if weight.shape == () and weight.dtype.kind in "fiu" and np.isfinite(weight):
            return float(weight)
    raise ValueError(
        "The `loss_weights` of a model with one loss must be one finite number, alone or in a "
        f"list or dict. {INSTEAD} Received: loss_weights={weights!r}"
    )


def _of_same_rank(y, outputs):
    """Remove or append a last axis of length 1, if the ranks of the two differ by 1."""
    if len(y.shape) == len(outputs.shape) + 1 and y.shape[-1] == 1:
        return _without_unit_axis(y, outputs)
    if len(outputs.shape) == len(y.shape) + 1 and outputs.shape[-1] == 1:
        return _without_unit_axis(outputs, y)[::-1]
    return y, outputs


def _without_unit_axis(longer, shorter):
    if len(shorter.shape) == 1:
        return longer, ops.expand_dims(shorter, -1)
    return ops.squeeze(longer, -1), shorter


def _crossentropy(y, outputs):
    """Compute what Keras chooses by the shapes for the name "crossentropy"."""
    if outputs.shape[-1] == 1:
        return keras.losses.binary_crossentropy(y, outputs)
    if len(y.shape) < len(outputs.shape) or y.shape[-1] == 1:
        return keras.losses.sparse_categorical_crossentropy(y, outputs)
    return keras.losses.categorical_crossentropy(y, outputs)


def _check_no_mask(x):
    if mask_of(x) is not None:
        raise ValueError(
            "A compiled loss with a mask has no value for a single row, since Keras divides by "
            f"the number of entries that count in the batch. {INSTEAD}"
        )
