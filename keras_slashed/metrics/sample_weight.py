"""Sample weights and masks, in the same form as for metrics of Keras."""

from keras import ops

from keras_slashed.validation import may_be_same_shape


def weights_of(sample_weight, values):
    """Return the weights of instances, a float32 tensor of the shape of `values`.

    Args:
        sample_weight: Float or boolean tensor, or None. Its axes are the first ones of `values`.
            The weight of a batch entry applies to all positions of the entry.
        values: Tensor with one number for each instance.
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
    """Return values with 0 where the weight is 0, since a NaN times 0 would still be NaN."""
    return ops.where(weights > 0.0, values, ops.zeros_like(values))


def _check_sample_weight_shape(shape, expected):
    """Raise a ValueError unless the axes of sample weights are the first axes of the instances."""
    expected = tuple(expected)
    if not may_be_same_shape(shape, expected[: len(shape)]):
        raise ValueError(
            f"Argument `sample_weight` must have the shape {expected} of the instances, or the "
            f"first axes of that shape. Received: sample_weight.shape={tuple(shape)}"
        )
