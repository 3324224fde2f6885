"""Errors under the Fast Gradient Sign Method (Eq. 45)."""

import numpy as np
from keras import losses
from keras import ops

from applications.stateful_function import compile_with_state
from keras_slashed.backend import input_gradient

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4)


def fgsm_errors(
    model, x, y, epsilons=EPSILONS, attacked_model=None, pixel_range=None, batch_size=500
):
    """Return the error rate of a classifier at each strength of the attack.

    What `compile_fgsm` returns, called once.
    """
    return compile_fgsm(model, epsilons, attacked_model, pixel_range)(x, y, batch_size)


def compile_fgsm(model, epsilons=EPSILONS, attacked_model=None, pixel_range=None):
    """Return a function that attacks a classifier, compiled at its first call.

    `x_adv = x + eps sign(grad_x L(x, y))`, L the cross-entropy. The gradient is
    taken once; all strengths are classified in one batched call. As printed, Eq. 45
    lets pixels leave their range; an image it gives may be no image then. The function
    reads the models' variables anew at each call: when they change, nothing is
    compiled again.

    Args:
        model: Maps inputs to logits.
        epsilons: Strengths, on the scale of the inputs.
        attacked_model: The model whose loss is followed, `model` by default. One
            of fewer posterior draws, say.
        pixel_range: The least and the greatest value of a pixel, to which attacked
            inputs are clipped too; or None.

    Returns:
        A function of inputs x and integer labels y, NumPy arrays, and the
        `batch_size`, inputs at a time. It returns a NumPy array: the share of inputs
        classified wrong, for each epsilon; with a pixel range of shape (2, number of
        epsilons), first those of clipped inputs.
    """
    attacked_model = attacked_model or model
    strengths = np.asarray(epsilons, "float32")
    kinds = 1 if pixel_range is None else 2

    def count_errors(inputs, labels, weights):
        def loss(inputs):
            logits = ops.cast(attacked_model(inputs, training=False), "float32")
            crossentropy = losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            return ops.sum(crossentropy), ()

        direction = ops.sign(input_gradient(loss, inputs)[0])
        scale = ops.reshape(ops.convert_to_tensor(strengths), (-1, *[1] * len(direction.shape)))
        attacks = ops.expand_dims(inputs, 0) + scale * ops.expand_dims(direction, 0)
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
            batch = _filled(x, y, start, min(batch_size, len(x)))
            total += ops.convert_to_numpy(count_errors(*batch))
        shares = total / len(x)
        return shares if pixel_range is None else shares.reshape(kinds, -1)

    return errors


def _filled(x, y, start, size):
    """Return a batch of tensors with weights.

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
