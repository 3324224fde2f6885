"""The VAE of `benchmarks.precision_stress`: one network, five ways to make the posterior."""

import contextlib
import math

import keras
from keras import layers
from keras import ops

from applications.training.backends import float64_enabled
from keras_slashed.layers import SlashedNormalSampling

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "float64")


@contextlib.contextmanager
def using_policy(name):
    """A context in which models are built and trained under a dtype policy.

    Under "float64" Keras' `floatx`, of inputs and losses, is float64 as well.
    """
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    wide = name == "float64"
    with float64_enabled() if wide else contextlib.nullcontext():
        try:
            if wide:
                keras.config.set_floatx(name)
            keras.config.set_dtype_policy(name)
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)


# "float32": the sampling layer alone computes in float32, whatever the policy of the others.
HEADS = ("exp", "exp, float32", "softplus", "softplus, float32", "stdplus")
_SOFTPLUS_OF_1 = math.log(math.expm1(1.0))


class NormalSampling(layers.Layer):
    """Draw from N(mean, stddev^2) as is usual: the deviation is exp or softplus of an output.

    With "exp" `stddev = exp(raw / 2)` and `log stddev = raw / 2`; with "softplus"
    `stddev = softplus(raw + log(e - 1))`, of which the logarithm is taken. The mean over
    the batch of `1/2 sum(mean^2 + stddev^2 - 1 - 2 log stddev)` goes to `add_loss`. All is
    computed in the layer's compute dtype, and nothing is clipped. A raw output of 0 is a
    deviation of 1.

    Args:
        deviation: "exp" or "softplus".
        seed: Of the noise.
        **kwargs: As for any `keras.layers.Layer`.
    """

    def __init__(self, deviation, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.deviation = deviation
        self.seed_generator = SlashedNormalSampling(seed=seed).seed_generator  # the same noise

    def build(self, mean_shape, raw_shape):
        pass  # no weights

    def call(self, mean, raw):
        if self.deviation == "exp":
            stddev, log_variance = ops.exp(0.5 * raw), raw
            variance = ops.exp(raw)
        else:
            stddev = ops.softplus(raw + _SOFTPLUS_OF_1)
            variance, log_variance = ops.square(stddev), 2.0 * ops.log(stddev)
        kl = 0.5 * ops.sum(ops.square(mean) + variance - 1.0 - log_variance, axis=-1)
        self.add_loss(ops.cast(ops.mean(kl), "float32"))
        # The noise of every head and dtype is that of float32.
        noise = keras.random.normal(ops.shape(mean), dtype="float32", seed=self.seed_generator)
        return mean + stddev * ops.cast(noise, mean.dtype)


def build(head, pixels, width=256, depth=4, latents=16, seed=0):
    """Build a VAE of Bernoulli pixels under the present dtype policy.

    The encoder and the decoder have `depth` ReLU layers each. Whatever the head, weights and
    noise are the same at the start, and so is the posterior: the layer of the deviations
    begins with zeros, where every deviation is 1, and the mean is the same linear layer, with
    stdplus `sqrt(2) a`. What differs is how fast a deviation moves from there: per unit of
    the raw output by 0.5 with exp, 0.63 with softplus and 1 with stdplus, as each is used.

    Args:
        head: One of `HEADS`.
        pixels: Number of pixels.
        width: Width of the ReLU layers.
        depth: Their number on each side.
        latents: Number of latent dimensions.
        seed: Of weights and noise.

    Returns:
        A `keras.Model` from `(batch, pixels)` to logits of that shape, in float32 or wider,
        whose loss beside the reconstruction's is the rate.
    """
    if head not in HEADS:
        raise ValueError(f"Argument `head` must be one of {HEADS}. Received: head={head!r}")

    def hidden(x, name, first_seed):
        for index in range(depth):
            initializer = keras.initializers.HeNormal(first_seed + index)
            x = layers.Dense(
                width, "relu", kernel_initializer=initializer, name=f"{name}_{index + 1}"
            )(x)
        return x

    first_seed = 1000 * seed
    inputs = keras.Input((pixels,), name="pixels")
    x = hidden(inputs, "encoder", first_seed)
    initializer = keras.initializers.GlorotUniform(first_seed + 100)
    mean = layers.Dense(latents, kernel_initializer=initializer, name="mean")(x)
    raw = layers.Dense(latents, kernel_initializer="zeros", name="deviation")(x)
    deviation, _, dtype = head.partition(", ")
    if deviation == "stdplus":
        amplitude = layers.Concatenate(name="amplitude")([mean * math.sqrt(0.5), raw])
        z = SlashedNormalSampling(seed=seed, name="latent")(amplitude)
    else:
        z = NormalSampling(deviation, seed=seed, dtype=dtype or None, name="latent")(mean, raw)
    z = hidden(z, "decoder", first_seed + 200)
    wide = keras.config.dtype_policy().variable_dtype  # as mixed precision has it
    initializer = keras.initializers.GlorotUniform(first_seed + 300)
    logits = layers.Dense(pixels, kernel_initializer=initializer, dtype=wide, name="logits")(z)
    return keras.Model(inputs, logits, name="vae")


def negative_log_likelihood(pixels, logits):
    """Return the negative log-likelihood of Bernoulli pixels, in nats for each image."""
    return ops.sum(ops.softplus(logits) - pixels * logits, axis=-1)
