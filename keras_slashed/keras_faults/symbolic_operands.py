"""Operands of which only some are symbolic."""

import keras
from keras import ops


def alike(*tensors):
    """Return float tensors as they are, or all as symbolic ones if at least one is symbolic.

    A JAX array on the left of an operator takes a `KerasTensor` on the right for an array, and
    raises an error, unlike a tensor of TensorFlow or PyTorch. The sum with a symbolic 0 is a
    symbolic constant.

    Args:
        *tensors: Float tensors, each of which may be symbolic or None.

    Returns:
        List of tensors of the same shapes and dtypes. None stays None.
    """
    symbolic = [x for x in tensors if isinstance(x, keras.KerasTensor)]
    if not symbolic:
        return list(tensors)
    zero = ops.sum(ops.zeros_like(symbolic[0]))  # a sum of no entries is 0 too
    return [
        x if x is None or isinstance(x, keras.KerasTensor) else ops.add(x, ops.cast(zero, x.dtype))
        for x in tensors
    ]
