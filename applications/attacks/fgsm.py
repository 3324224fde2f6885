"""Errors under the Fast Gradient Sign Method (Eq. 45)."""

import numpy as np
from keras import losses
from keras import ops

from applications.checks import check_choice
from applications.training.backends import compile_with_state
from applications.training.backends import input_gradient

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4)
LOSSES = ("crossentropy", "margin")


def fgsm_errors(
    model,
    x,
    y,
    epsilons=EPSILONS,
    attacked_model=None,
    pixel_range=None,
    batch_size=500,
    loss="crossentropy",
):
    """Return the error rate of a classifier at each strength of the attack.

    What `compile_fgsm` returns, called once.
    """
    return compile_fgsm(model, epsilons, attacked_model, pixel_range, loss)(x, y, batch_size)


def compile_fgsm(
    model, epsilons=EPSILONS, attacked_model=None, pixel_range=None, loss="crossentropy"
):
    """Return a function that attacks a classifier, compiled at its first call.

    `x_adv = x + eps sign(grad_x L(x, y))`. The gradient is taken once; all strengths
    are classified in one batched call. As printed, Eq. 45 lets pixels leave their
    range; an image it gives may be no image then. The function reads the models'
    variables anew at each call: when they change, nothing is compiled again.

    Args:
        model: Maps inputs to logits.
        epsilons: Strengths, on the scale of the inputs.
        attacked_model: The model whose loss is followed, `model` by default. One
            of fewer posterior draws, say.
        pixel_range: The least and the greatest value of a pixel, to which attacked
            inputs are clipped too; or None.
        loss: L: "crossentropy", the paper's, or "margin"; see `loss_gradient`.

    Returns:
        A function of inputs x and integer labels y, NumPy arrays, and the
        `batch_size`, inputs at a time. It returns a NumPy array: the share of inputs
        classified wrong, for each epsilon; with a pixel range of shape (2, number of
        epsilons), first those of clipped inputs.
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
    """Return the gradient by the inputs of a classifier's loss, and the loss of each input.

    "crossentropy" is `-log p_y`. Where a classifier is sure, float32 rounds p_y to 1:
    of its gradient by the logits, `p - onehot(y)`, the part of the true class is 0 then,
    and beyond some 90 nats all of it. "margin" is `max_{j != y} logit_j - logit_y`,
    positive where the class is wrong; its gradient does not fade.

    Args:
        model: Maps inputs to logits.
        inputs: Tensor of a batch.
        labels: Integer tensor of shape `(batch,)`.
        loss: "crossentropy" or "margin".

    Returns:
        A tensor like the inputs, and a float32 tensor of shape `(batch,)`.
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
    """Return by how much the greatest logit of another class exceeds the true one's."""
    true = ops.one_hot(labels, logits.shape[-1], dtype="bool")
    others = ops.max(ops.where(true, -float("inf"), logits), axis=-1)
    return others - ops.sum(ops.where(true, logits, 0.0), axis=-1)


def step_along(gradient, inputs, epsilons):
    """Return `x + eps sign(gradient)` for each epsilon, on a new first axis."""
    strengths = ops.convert_to_tensor(np.asarray(epsilons, "float32"))
    scale = ops.reshape(strengths, (-1, *[1] * len(inputs.shape)))
    return ops.expand_dims(inputs, 0) + scale * ops.expand_dims(ops.sign(gradient), 0)


def filled_batch(x, y, start, size):
    """Return a batch as tensors: inputs, labels, and weights.

    The last one is filled up, with weight 0, so that one compilation serves all.
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
