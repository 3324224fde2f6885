"""The output of an encoder: an amplitude, or a distribution of one."""

import keras
import numpy as np
from keras import ops
from keras import tree

from keras_slashed.distributions import SlashedNormal
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.masks import mask_of
from keras_slashed.evaluation.moments import RunningMoments
from keras_slashed.metrics.sample_weight import weights_of
from keras_slashed.one_tensor import check_one_output
from keras_slashed.ops.amplitude import normal_to_amplitude
from keras_slashed.ops.floats import at_least_float32
from keras_slashed.ops.floats import to_amplitude
from keras_slashed.ops.reparameterize import apply_matrix


def posterior_of(encoded):
    """Return a distribution unchanged, or the posterior of an amplitude with the prior N(0, 1).

    An object with a prior density is a distribution. Any other object is a tensor.
    """
    if hasattr(encoded, "prior_log_prob"):
        return encoded
    # Cast first, since the error of a float16 sample would be many times the smallest standard
    # deviations.
    return SlashedNormal(at_least_float32(to_amplitude(encoded)))


def mask_of_encoded(encoded):
    """Return the mask that Keras keeps with an amplitude, or with that of a distribution, or None.

    Positions where it is False are padding, and no instances.
    """
    if hasattr(encoded, "prior_log_prob"):
        encoded = getattr(encoded, "amplitude", None)
    return mask_of(encoded)


def noise_like(posterior):
    """Return zeros of the shape of the noise for one draw, (..., K)."""
    if hasattr(posterior, "scale"):
        return ops.zeros_like(posterior.scale[..., 0, :])
    return ops.zeros_like(at_least_float32(posterior.stddev))


def draws_of(posterior, noise):
    """Return the draws, (..., S, D), that correspond to standard normal noise, (..., S, K)."""
    mean = ops.expand_dims(at_least_float32(posterior.mean), -2)
    noise = ops.cast(noise, mean.dtype)
    if hasattr(posterior, "scale"):
        return mean + apply_matrix(posterior.scale, noise, samples=True)
    return mean + ops.expand_dims(at_least_float32(posterior.stddev), -2) * noise


def amplitude_of(encoded):
    """Return the amplitude, in float32 or wider, that has the posterior relative to N(0, 1)."""
    if isinstance(encoded, SlashedNormal):
        mean, stddev = at_least_float32(encoded.mean), at_least_float32(encoded.stddev)
        # One that is 0, to rounding, would be an infinite amplitude.
        tiny = float(np.finfo(keras.backend.standardize_dtype(stddev.dtype)).tiny)
        stddev = ops.where(stddev > tiny, stddev, tiny * ops.ones_like(stddev))
        return normal_to_amplitude(mean, stddev)
    if hasattr(encoded, "prior_log_prob"):
        raise ValueError(
            "Mutual information requires independent latent dimensions. The encoder must return "
            f"an amplitude or a SlashedNormal. Received: a {type(encoded).__name__}"
        )
    return at_least_float32(to_amplitude(encoded))


def output_of(name, function, *inputs):
    """Return the only output of a user's function, whose argument name is `name`."""
    output = function(*inputs)
    check_one_output(name, function, output)
    return output


def moments_over(function, encoder, x, batch_size, verbose):
    """Return the `RunningMoments` of `function(posterior)`, (..., D), over all instances of x."""
    moments = RunningMoments()
    encoded = encoded_instances(
        lambda encoded: function(posterior_of(encoded)), encoder, x, batch_size, verbose
    )
    for values in encoded:
        moments.add(values)
    return moments


def encoded_instances(function, encoder, x, batch_size, verbose):
    """Yield `function(encoder(batch))` of the instances in each batch of x, arrays (n, D).

    Raises:
        ValueError: If the mask of the encoder excludes all positions.
    """
    found = False
    for values, counts in encoded_batches(function, encoder, x, batch_size, verbose):
        if counts.any():
            found = True
            yield values[counts]
    check_any_instance(found)


def encoded_batches(function, encoder, x, batch_size, verbose):
    """Yield `function(encoder(batch))` for all batches of x, and which instances count.

    The function returns a tensor of shape (batch, ..., D). Both are NumPy arrays, of which the
    second is boolean, has the shape (batch, ...), and is False where Keras' mask is.
    """

    def values_and_counts(batch):
        encoded = output_of("encoder", encoder, batch)
        values = function(encoded)
        return values, counts_of(values[..., 0], mask_of_encoded(encoded))

    compiled = Compiled(values_and_counts, [encoder])
    for batch, length in padded_batches(x, batch_size, verbose):
        values, counts = compiled.predict_on_batch(batch)
        check_rows(np.shape(counts), batch)
        yield np.asarray(values)[:length], np.asarray(counts)[:length]


def check_rows(shape, batch):
    """Raise a ValueError unless a shape without the axis of dimensions has the rows of a batch."""
    rows = len(tree.flatten(batch)[0])
    if shape[:1] != (rows,):
        raise ValueError(
            "The encoder must return an amplitude of shape (batch, ..., 2K), or a distribution of "
            f"such a batch, with one row for each of the {rows} rows of a batch. "
            f"Received: {f'{shape[0]} rows' if shape else 'no axis of rows'}"
        )


def counts_of(values, mask):
    """Return whether each of the values counts, a boolean tensor of their shape."""
    return weights_of(None, values, mask) > 0.0


def check_any_instance(found):
    """Raise a ValueError if no instance was found."""
    if not found:
        raise ValueError(
            "At least one instance of `x` must count. Received: data for which the mask that "
            "Keras keeps with the output of `encoder` is False everywhere"
        )
