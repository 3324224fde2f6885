"""Errors under the Fast Gradient Sign Method (Eq. 45)."""

import numpy as np
from keras import losses
from keras import ops

from applications.checks import check_choice
from applications.training.backends import compile_with_state
from applications.training.backends import input_gradient

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4)
LOSSES = ("crossentropy", "margin")


def compile_fgsm(
    model, epsilons=EPSILONS, attacked_model=None, pixel_range=None, loss="crossentropy"
):
    """Return a function that attacks a classifier, compiled at its first call.

    `x_adv = x + eps sign(grad_x L(x, y))`. The gradient is computed once, and one batched call
    classifies the attacked inputs of all strengths. Eq. 45 as printed lets pixels leave their
    range, so its result may not be a valid image. The function reads the models' variables at
    each call, so nothing is compiled again when they change.

    Args:
        model: `keras.Model` that maps inputs to logits.
        epsilons: Sequence of floats. Strengths, on the scale of the inputs.
        attacked_model: `keras.Model` or None. The model whose loss the attack follows, for
            example one with fewer posterior draws. By default it is `model`.
        pixel_range: Tuple of two floats or None. The smallest and the largest value of a pixel.
            If it is given, the attacked inputs are also classified clipped to this range.
        loss: String. The loss L, "crossentropy" as in the paper, or "margin", as in
            `loss_gradient`.

    Returns:
        Function of the inputs x and the integer labels y, both NumPy arrays, and of
        `batch_size`, the number of inputs per batch. It returns a NumPy array with the fraction
        of misclassified inputs for each epsilon. With a pixel range the array has the shape
        (2, number of epsilons), and its first row is that of the clipped inputs.
    """
    check_choice("loss", loss, LOSSES)
    attacked_model = attacked_model or model
    strengths = np.asarray(epsilons, "float32")
    kinds = 1 if pixel_range is None else 2

    def count_errors(inputs, labels, weights):
        gradient, _ = loss_gradient(attacked_model, inputs, labels, loss)
        attacks = step_along(gradient, inputs, strengths)
        if pixel_range is not None:
            attacks = ops.concatenate([ops.clip(attacks, *pixel_range), attacks])
        flat = ops.reshape(attacks, (-1, *inputs.shape[1:]))
        predictions = ops.argmax(model(flat, training=False), axis=-1)
        wrong = ops.reshape(predictions, (kinds * len(strengths), -1)) != ops.expand_dims(labels, 0)
        return ops.sum(ops.cast(wrong, "float32") * weights, axis=-1)

    variables = {id(v): v for v in (*model.variables, *attacked_model.variables)}
    count_errors = compile_with_state(count_errors, list(variables.values()))

    def errors(x, y, batch_size=500):
        total = np.zeros(kinds * len(strengths))
        for start in range(0, len(x), batch_size):
            batch = filled_batch(x, y, start, min(batch_size, len(x)))
            total += ops.convert_to_numpy(count_errors(*batch))
        shares = total / len(x)
        return shares if pixel_range is None else shares.reshape(kinds, -1)

    return errors


def loss_gradient(model, inputs, labels, loss):
    """Return the gradient of a classifier's loss in its inputs, and the loss of each input.

    "crossentropy" is `-log p_y`. If a classifier is very certain, float32 rounds p_y to 1. Then
    the component of the true class in its gradient in the logits, `p - onehot(y)`, is 0, and
    beyond about 90 nats all components are 0. "margin" is `max_{j != y} logit_j - logit_y`,
    which is positive if the predicted class is wrong. Its gradient does not vanish.

    Args:
        model: `keras.Model` that maps inputs to logits.
        inputs: Tensor. A batch of inputs.
        labels: Integer tensor of shape `(batch,)`.
        loss: String, "crossentropy" or "margin".

    Returns:
        Tensor of the inputs' shape, and float32 tensor of shape `(batch,)`.
    """

    def total(inputs):
        logits = ops.cast(model(inputs, training=False), "float32")
        if loss == "margin":
            values = margin(labels, logits)
        else:
            values = losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return ops.sum(values), values

    return input_gradient(total, inputs)


def margin(labels, logits):
    """Return the largest logit of another class minus the logit of the true class."""
    true = ops.one_hot(labels, logits.shape[-1], dtype="bool")
    others = ops.max(ops.where(true, -float("inf"), logits), axis=-1)
    return others - ops.sum(ops.where(true, logits, 0.0), axis=-1)


def step_along(gradient, inputs, epsilons):
    """Return `x + eps sign(gradient)` for each epsilon, on a new first axis."""
    strengths = ops.convert_to_tensor(np.asarray(epsilons, "float32"))
    scale = ops.reshape(strengths, (-1, *[1] * len(inputs.shape)))
    return ops.expand_dims(inputs, 0) + scale * ops.expand_dims(ops.sign(gradient), 0)


def filled_batch(x, y, start, size):
    """Return a batch as three tensors: inputs, labels and weights.

    The last batch is filled with inputs of weight 0, so that all batches share a compilation.
    """
    x, y = x[start : start + size], y[start : start + size]
    missing = size - len(x)
    weights = np.pad(np.ones(len(x), "float32"), (0, missing))
    x = np.pad(x, [(0, missing)] + [(0, 0)] * (np.ndim(x) - 1))
    return (
        ops.convert_to_tensor(x),
        ops.convert_to_tensor(np.pad(y, (0, missing)), dtype="int32"),
        ops.convert_to_tensor(weights),
    )
