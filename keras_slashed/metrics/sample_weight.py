"""Sample weights and masks, in the same form as for metrics of Keras."""

from keras import ops

from keras_slashed.one_tensor import check_real
from keras_slashed.validation import may_be_same_shape


def weights_of(sample_weight, values, mask=None):
    """Return the weights of instances, a float32 tensor of the shape of `values`.

    Args:
        sample_weight: Float or boolean tensor, or None. Its axes are the first ones of `values`.
            The weight of a batch entry applies to all positions of the entry.
        values: Tensor with one number for each instance.
        mask: Boolean tensor, or None. The mask that Keras keeps with the instances, with axes as
            for `sample_weight`. Where it is False, the weight is 0.
    """
    weights = ops.cast(ops.ones_like(values), "float32")
    if sample_weight is not None:
        check_real(sample_weight)
        weights = weights * _aligned("Argument `sample_weight`", sample_weight, values.shape)
    if mask is not None:
        weights = weights * _aligned("The mask that Keras keeps with a tensor", mask, values.shape)
    return weights


def without_unweighted(values, weights):
    """Return values with 0 where the weight is 0, since a NaN times 0 would still be NaN."""
    return ops.where(weights != 0.0, values, ops.zeros_like(values))


def _aligned(name, weights, expected):
    """Return weights as a float32 tensor with as many axes as the instances.

    Raises:
        ValueError: If the axes of the weights are not the first axes of the instances.
    """
    weights = ops.cast(ops.convert_to_tensor(weights), "float32")
    shape, expected = tuple(weights.shape), tuple(expected)
    if not may_be_same_shape(shape, expected[: len(shape)]):
        raise ValueError(
            f"{name} must have the shape {expected} of the instances, or the first axes of that "
            f"shape. Received: shape {shape}"
        )
    for _ in range(len(expected) - len(shape)):
        weights = ops.expand_dims(weights, -1)
    return weights
