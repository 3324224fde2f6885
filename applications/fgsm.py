"""Errors under the Fast Gradient Sign Method (Eq. 45)."""

import numpy as np
from keras import losses
from keras import ops

from applications.differentiation import compile_with_state
from applications.differentiation import input_gradient

EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4)


def fgsm_errors(model, x, y, epsilons=EPSILONS, attacked_model=None, batch_size=500):
    """Return the error rate of a classifier at each strength of the attack.

    `x_adv = x + eps sign(grad_x L(x, y))`, L the cross-entropy. The gradient is
    taken once; all strengths are classified in one batched call. Pixels are not
    clipped to their range, as in Eq. 45.

    Args:
        model: Maps inputs to logits.
        x: Inputs, a NumPy array.
        y: Integer labels.
        epsilons: Strengths, on the scale of x.
        attacked_model: The model whose loss is followed, `model` by default. One
            of fewer posterior draws, say.
        batch_size: Inputs at a time.

    Returns:
        A NumPy array: the share of inputs classified wrong, for each epsilon.
    """
    attacked_model = attacked_model or model
    strengths = ops.reshape(
        ops.convert_to_tensor(epsilons, dtype="float32"), (-1, *[1] * np.ndim(x))
    )

    def count_errors(inputs, labels, weights):
        def loss(inputs):
            logits = attacked_model(inputs, training=False)
            return ops.sum(losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))

        direction = ops.sign(input_gradient(loss, inputs))
        attacks = ops.expand_dims(inputs, 0) + strengths * ops.expand_dims(direction, 0)
        flat = ops.reshape(attacks, (-1, *inputs.shape[1:]))
        predictions = ops.argmax(model(flat, training=False), axis=-1)
        wrong = ops.reshape(predictions, (len(epsilons), -1)) != ops.expand_dims(labels, 0)
        return ops.sum(ops.cast(wrong, "float32") * weights, axis=-1)

    variables = {id(v): v for v in (*model.variables, *attacked_model.variables)}
    count_errors = compile_with_state(count_errors, list(variables.values()))
    total = np.zeros(len(epsilons))
    for start in range(0, len(x), batch_size):
        batch_x, batch_y = x[start : start + batch_size], y[start : start + batch_size]
        # The last batch is filled up, with weight 0, so that one compilation serves all.
        missing = min(batch_size, len(x)) - len(batch_x)
        weights = np.pad(np.ones(len(batch_x), "float32"), (0, missing))
        batch_x = np.pad(batch_x, [(0, missing)] + [(0, 0)] * (np.ndim(x) - 1))
        batch_y = np.pad(batch_y, (0, missing))
        counts = count_errors(
            ops.convert_to_tensor(batch_x),
            ops.convert_to_tensor(batch_y, dtype="int32"),
            ops.convert_to_tensor(weights),
        )
        total += ops.convert_to_numpy(counts)
    return total / len(x)
