"""What an encoder returns: an amplitude, or a distribution made of one."""

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
    """Return the posterior: on a standard normal prior, if an amplitude was encoded.

    Whatever has a prior's density is a distribution; the rest is a tensor.
    """
    if hasattr(encoded, "prior_log_prob"):
        return encoded
    # Wide before anything is computed: a sample in float16 would be off by many of
    # the smaller deviations.
    return SlashedNormal(at_least_float32(to_amplitude(encoded)))


def noise_like(posterior):
    """Return zeros of the shape of the noise that one draw takes, (..., K)."""
    if hasattr(posterior, "scale"):
        return ops.zeros_like(posterior.scale[..., 0, :])
    return ops.zeros_like(at_least_float32(posterior.stddev))


def draws_of(posterior, noise):
    """Return the draws, (..., S, D), that standard normal noise, (..., S, K), stands for."""
    mean = ops.expand_dims(at_least_float32(posterior.mean), -2)
    noise = ops.cast(noise, mean.dtype)
    if hasattr(posterior, "scale"):
        return mean + apply_matrix(posterior.scale, noise, samples=True)
    return mean + ops.expand_dims(at_least_float32(posterior.stddev), -2) * noise


def amplitude_of(encoded):
    """Return the amplitude, in float32 or wider, that has the posterior on N(0, 1)."""
    if isinstance(encoded, SlashedNormal):
        mean, stddev = at_least_float32(encoded.mean), at_least_float32(encoded.stddev)
        return normal_to_amplitude(mean, stddev)
    if hasattr(encoded, "prior_log_prob"):
        raise ValueError(
            "Mutual information is computed for independent latent dimensions: the encoder must "
            f"return an amplitude or a SlashedNormal. Received: a {type(encoded).__name__}"
        )
    return at_least_float32(to_amplitude(encoded))


def output_of(name, function, *inputs):
    """Return the one output of a user's function, called `name` as an argument."""
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

    The function returns one tensor, whose first axis is the batch's.
    """
    compiled = Compiled(lambda batch: function(output_of("encoder", encoder, batch)), [encoder])
    for batch, length in padded_batches(x, batch_size, verbose):
        yield np.asarray(compiled.predict_on_batch(batch))[:length]
