"""The output of an encoder: an amplitude, or a distribution of one."""

import numpy as np
from keras import ops

from keras_slashed.distributions import SlashedNormal
from keras_slashed.evaluation.batches import padded_batches
from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.evaluation.moments import RunningMoments
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
    encoded = encoded_batches(
        lambda encoded: function(posterior_of(encoded)), encoder, x, batch_size, verbose
    )
    for values in encoded:
        moments.add(values.reshape(-1, values.shape[-1]))
    return moments


def encoded_batches(function, encoder, x, batch_size, verbose):
    """Yield `function(encoder(batch))` for all batches of x, as NumPy arrays.

    The function returns one tensor, whose first axis is that of the batch.
    """
    compiled = Compiled(lambda batch: function(output_of("encoder", encoder, batch)), [encoder])
    for batch, length in padded_batches(x, batch_size, verbose):
        yield np.asarray(compiled.predict_on_batch(batch))[:length]
