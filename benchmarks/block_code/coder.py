"""What the coder does: the distance of its draws, their width and its time."""

import time

import numpy as np
from keras import ops

from applications import extras
from benchmarks.block_code.posteriors import posterior
from benchmarks.harness import timing
from keras_slashed.coding import BlockCode

stats = extras.load("scipy.stats")


def decoded_noise(posterior, code, draws):
    """Return decoded draws (draws, k), in standard deviations from the posterior mean."""
    amplitude = np.tile(posterior.amplitude, (draws, 1))
    z = code.decode(code.encode(amplitude, seed=0), len(posterior.mean))
    return (ops.convert_to_numpy(z) - posterior.mean) / np.exp(posterior.log_stddev)


def measured_distance(posterior, code, draws):
    """Return the largest Kolmogorov-Smirnov distance of a dimension of decoded draws."""
    noise = decoded_noise(posterior, code, draws)
    return max(stats.kstest(column, "norm").statistic for column in noise.T)


def cost(bits, latent_dim, options):
    """Return seconds of processor time that a block takes to encode and to decode.

    Args:
        bits: Integer. Number of bits of a block.
        latent_dim: Integer. Number k of latent dimensions.
        options: Namespace with the numbers `repeats` and `seconds`.
    """
    code = BlockCode(bits)
    # As many blocks as the coder encodes at once.
    number = max(1, code.chunk_size // (latent_dim * 2**bits))
    amplitude = posterior("mean and narrow", latent_dim, 0.6 * bits, 1).amplitude
    amplitude = np.tile(amplitude, (number, 1))
    many = np.random.default_rng(0).integers(0, 2**bits, 2**14)
    seconds = timing.measure(
        {
            "encode": lambda: code.encode(amplitude, seed=0),
            "decode": lambda: ops.convert_to_numpy(code.decode(many, latent_dim)),
        },
        rounds=options.repeats,
        budget=options.seconds,
        clock=time.process_time,  # other work on the machine does not count
    )
    encode, decode = (timing.spread(seconds[name]).median for name in ("encode", "decode"))
    return encode / number, decode / len(many)
