"""Sample weights and masks, as Keras' metrics take them."""

from keras import ops

from keras_slashed.validation import may_be_same_shape


def weights_of(sample_weight, values):
    """Return the weights of instances, a float32 tensor of the shape of `values`.

    Args:
        sample_weight: None, or numbers or booleans, whose axes are the first of
            `values`: one weight for each batch entry goes to all its positions.
        values: A tensor, one number for each instance.
    """
    ones = ops.cast(ops.ones_like(values), "float32")
    if sample_weight is None:
        return ones
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    _check_sample_weight_shape(weights.shape, values.shape)
    for _ in range(len(values.shape) - len(weights.shape)):
        weights = ops.expand_dims(weights, -1)
    return weights * ones


def without_unweighted(values, weights):
    """Return values with 0 where the weight is 0: a NaN there would stay one."""
    return ops.where(weights > 0.0, values, ops.zeros_like(values))


def _check_sample_weight_shape(shape, expected):
    """Raise a ValueError unless the axes of sample weights are the first of the instances'."""
    expected = tuple(expected)
    if not may_be_same_shape(shape, expected[: len(shape)]):
        raise ValueError(
            "Argument `sample_weight` must have the axes of the instances, "
            f"{expected}, or the first of them. Received: sample_weight.shape={tuple(shape)}"
        )
