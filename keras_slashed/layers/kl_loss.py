"""The loss of a sampling layer: its rate, with or without free bits."""

import keras
from keras import ops

from keras_slashed.ops.floats import cast_in_range


def kl_loss(rates, mask=None):
    """Return the sum of the rates over all axes but the first, averaged over the rows of the batch.

    A row is one entry of the batch. The mean does not include rows that the mask excludes
    entirely: `sum(rates that count) / (number of rows with an instance that counts)`.

    Args:
        rates: Float tensor of shape `(batch, ...)`. Rates in nats.
        mask: Boolean tensor of shape `(batch, ...)`, or None. A rate does not count where the
            mask is False.

    Returns:
        A scalar in float64 if that is Keras' `floatx`, else in float32. It is 0 if no row counts.
    """
    if mask is not None:
        rates = ops.where(ops.cast(mask, "bool"), rates, 0.0)
    return _cast_to_loss(ops.sum(rates) / _number_of_rows(rates, mask))


def kl_loss_with_free_bits(psi, free_bits, mask=None):
    """Return the KL loss of an amplitude whose latent dimensions have a free rate each.

    `n sum_k max(free_bits, r_k)`, where `r_k` is the mean rate `a_k^2 + b_k^2` of dimension k
    over all instances that count. `n` is the number of these instances divided by the number of
    rows with at least one of them. It is 1 for an amplitude of shape `(batch, 2K)`.

    Args:
        psi: Float tensor of shape `(batch, ..., 2K)`. Wide amplitude, zero where masked.
        free_bits: Float. Free rate of each latent dimension in nats.
        mask: Boolean tensor of shape `(batch, ...)`, or None.

    Returns:
        A scalar in float64 if that is Keras' `floatx`, else in float32. It is 0 if no row counts.

    Reference:
        Kingma et al., Improving Variational Inference with Inverse Autoregressive
        Flow, 2016, Eq. 15.
    """
    real, imaginary = ops.split(ops.square(psi), 2, axis=-1)
    rates = real + imaginary
    counts = ops.ones_like(rates[..., 0])
    if mask is not None:
        counts = ops.cast(mask, rates.dtype)
    # Multiply both sides of the maximum by the number of instances, since it may be 0.
    totals = ops.sum(rates, axis=list(range(len(rates.shape) - 1)))
    free = free_bits * ops.sum(counts)
    total = ops.sum(ops.where(totals < free, free, totals))
    return _cast_to_loss(total / _number_of_rows(counts, mask))


def _number_of_rows(rates, mask):
    """Return the number of rows with an instance that counts, but at least 1."""
    # torch.export would treat the batch size as a constant if it were a Python number.
    counts = ops.ones_like(rates) if mask is None else ops.cast(mask, rates.dtype)
    if len(rates.shape) > 1:
        counts = ops.sum(counts, axis=list(range(1, len(rates.shape))))
    rows = ops.sum(ops.cast(counts > 0.0, rates.dtype))
    return ops.where(rows > 0.0, rows, 1.0)


def _cast_to_loss(x):
    # With floatx float64, Keras losses are float64, and TensorFlow cannot add tensors of
    # different dtypes.
    return ops.cast(x, "float64" if keras.config.floatx() == "float64" else "float32")


def cast_to_loss_of_keras(loss):
    """Return a weighted loss in a dtype that Keras can add to its own losses.

    Keras computes its losses in `floatx`, and TensorFlow adds no tensors of different dtypes. In
    float16 the loss is at most 65,504, and has no gradient beyond that. Other backends add a
    float32 loss to any other.
    """
    dtype = keras.config.floatx()
    if keras.backend.backend() != "tensorflow" or loss.dtype == dtype:
        return loss
    return cast_in_range(loss, dtype)
