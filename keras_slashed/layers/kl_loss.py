"""What a sampling layer adds to the loss: its rate, as it is or with free bits."""

import weakref

import keras
from keras import ops

from keras_slashed.ops.floats import widen_amplitude


def kl_loss(rates, mask=None):
    """Return the mean over the batch of the sum over all other axes.

    Args:
        rates: Tensor of shape `(batch, ...)`, in nats.
        mask: Boolean tensor of that shape, or None. Where it is False a rate does
            not count.

    Returns:
        A scalar, float64 where that is Keras' `floatx`, else float32.
    """
    if mask is not None:
        rates = ops.where(ops.cast(mask, "bool"), rates, 0.0)
    if len(rates.shape) > 1:
        rates = ops.sum(rates, axis=list(range(1, len(rates.shape))))
    return _cast_to_loss(ops.mean(rates))


def kl_loss_with_free_bits(amplitude, free_bits, mask=None):
    """Return the same for an amplitude, with a rate that each latent dimension has free.

    `n sum_k max(free_bits, r_k)`, where `r_k` is the mean rate `a_k^2 + b_k^2` of
    dimension k over all instances that count, and `n` how many of these there are for
    each entry of the batch: 1 for an amplitude of shape `(batch, 2K)`.

    Args:
        amplitude: Float tensor of shape `(batch, ..., 2K)`.
        free_bits: Number of nats.
        mask: Boolean tensor of shape `(batch, ...)`, or None.

    Returns:
        A scalar, float64 where that is Keras' `floatx`, else float32.

    Reference:
        Kingma et al., Improving Variational Inference with Inverse Autoregressive
        Flow, 2016, Eq. 15.
    """
    real, imaginary = ops.split(ops.square(widen_amplitude(amplitude)), 2, axis=-1)
    rates = real + imaginary
    counts = ops.ones_like(rates[..., :1])
    if mask is not None:
        mask = ops.expand_dims(ops.cast(mask, "bool"), -1)
        counts = ops.cast(mask, rates.dtype)
        rates = ops.where(mask, rates, 0.0)
    # Both sides of the maximum times the number of instances, which may be 0.
    instances = list(range(len(rates.shape) - 1))
    totals = ops.sum(rates, axis=instances)
    free = free_bits * ops.sum(counts, axis=instances)
    total = ops.sum(ops.where(totals < free, free, totals))
    return _cast_to_loss(total / ops.cast(ops.shape(rates)[0], rates.dtype))


def add_loss(layer, loss):
    """Add a loss to a layer, so that on JAX it hides no loss of another layer.

    There Keras (seen with 3.15) knows the losses of a layer by their `id` until the layer is
    called again, and then leaves out of the model's losses what has such an `id`: maybe the
    loss of another layer, in the memory of one that is gone. Without jit a step lacks it,
    with jit all steps of a trace.

    Args:
        layer: A `keras.layers.Layer`, in its `call`.
        loss: A scalar.
    """
    layer.add_loss(loss)
    ids = getattr(layer, "_loss_ids", None)  # private: another Keras may have no such set
    if keras.backend.backend() == "jax" and ids is not None:
        # Forgotten as the loss goes, before anything else can have its `id`.
        weakref.finalize(loss, ids.discard, id(loss)).atexit = False


def _cast_to_loss(x):
    # In float64 Keras' own losses are so, and TensorFlow adds no two dtypes.
    return ops.cast(x, "float64" if keras.config.floatx() == "float64" else "float32")
