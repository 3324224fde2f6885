"""What a sampling layer adds to the loss: its rate, as it is or with free bits."""

import keras
from keras import ops


def kl_loss(rates, mask=None):
    """Return the mean over the rows of the batch of the sum over all other axes.

    A row is an entry of the batch. One of which the mask leaves nothing is no row of the
    mean: `sum(rates that count) / (number of rows with an instance that counts)`.

    Args:
        rates: Tensor of shape `(batch, ...)`, in nats.
        mask: Boolean tensor of that shape, or None. Where it is False a rate does
            not count.

    Returns:
        A scalar, float64 where that is Keras' `floatx`, else float32. 0 if there is no row.
    """
    if mask is not None:
        rates = ops.where(ops.cast(mask, "bool"), rates, 0.0)
    return _cast_to_loss(ops.sum(rates) / _number_of_rows(rates, mask))


def kl_loss_with_free_bits(psi, free_bits, mask=None):
    """Return the same for an amplitude, with a rate that each latent dimension has free.

    `n sum_k max(free_bits, r_k)`, where `r_k` is the mean rate `a_k^2 + b_k^2` of
    dimension k over all instances that count, and `n` how many of these there are for
    each row with one that counts: 1 for an amplitude of shape `(batch, 2K)`.

    Args:
        psi: Wide amplitude of shape `(batch, ..., 2K)`, zero where masked.
        free_bits: Number of nats.
        mask: Boolean tensor of shape `(batch, ...)`, or None.

    Returns:
        A scalar, float64 where that is Keras' `floatx`, else float32. 0 if there is no row.

    Reference:
        Kingma et al., Improving Variational Inference with Inverse Autoregressive
        Flow, 2016, Eq. 15.
    """
    real, imaginary = ops.split(ops.square(psi), 2, axis=-1)
    rates = real + imaginary
    counts = ops.ones_like(rates[..., 0])
    if mask is not None:
        counts = ops.cast(mask, rates.dtype)
    # Both sides of the maximum times the number of instances, which may be 0.
    totals = ops.sum(rates, axis=list(range(len(rates.shape) - 1)))
    free = free_bits * ops.sum(counts)
    total = ops.sum(ops.where(totals < free, free, totals))
    return _cast_to_loss(total / _number_of_rows(counts, mask))


def _number_of_rows(rates, mask):
    """Return how many rows have an instance that counts, but 1 if there is none."""
    # Not the batch size as a number: torch.export would take it for a constant.
    counts = ops.ones_like(rates) if mask is None else ops.cast(mask, rates.dtype)
    if len(rates.shape) > 1:
        counts = ops.sum(counts, axis=list(range(1, len(rates.shape))))
    rows = ops.sum(ops.cast(counts > 0.0, rates.dtype))
    return ops.where(rows > 0.0, rows, 1.0)


def _cast_to_loss(x):
    # In float64 Keras' own losses are so, and TensorFlow adds no two dtypes.
    return ops.cast(x, "float64" if keras.config.floatx() == "float64" else "float32")
