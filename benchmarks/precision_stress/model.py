"""The VAE of `benchmarks.precision_stress`: one network with five kinds of posterior heads."""

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
    """Enter a context in which models are built and trained under a dtype policy.

    Under "float64" Keras' `floatx`, the dtype of inputs and losses, is float64 too.
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


# With "float32" only the sampling layer computes in float32, whatever the policy of the others.
HEADS = ("exp", "exp, float32", "softplus", "softplus, float32", "stdplus")
_SOFTPLUS_OF_1 = math.log(math.expm1(1.0))


class NormalSampling(layers.Layer):
    """Draw from N(mean, stddev^2), with exp or softplus of an output as standard deviation.

    With "exp" `stddev = exp(raw / 2)` and `log stddev = raw / 2`. With "softplus"
    `stddev = softplus(raw + log(e - 1))`, and `log stddev` is its logarithm. `add_loss` gets the
    mean over the batch of `1/2 sum(mean^2 + stddev^2 - 1 - 2 log stddev)`. Everything is
    computed in the layer's compute dtype, and nothing is clipped. A raw output of 0 gives a
    standard deviation of 1.

    Args:
        deviation: String, "exp" or "softplus".
        seed: Integer. Seed of the noise.
        **kwargs: Base layer keyword arguments, such as `name` and `dtype`.
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
        # The noise is drawn in float32 for every head and dtype.
        noise = keras.random.normal(ops.shape(mean), dtype="float32", seed=self.seed_generator)
        return mean + stddev * ops.cast(noise, mean.dtype)


def build(head, pixels, width=256, depth=4, latents=16, seed=0):
    """Build a VAE of Bernoulli pixels under the current dtype policy.

    The encoder and the decoder have `depth` ReLU layers each. Initial weights, noise and
    posterior are the same for all heads. The layer of the standard deviations starts with
    zeros, where every standard deviation is 1. The mean comes from the same linear layer, and
    with stdplus it is `sqrt(2) a`. The heads differ in how fast a standard deviation changes
    from there per unit of the raw output: by 0.5 for exp, 0.63 for softplus and 1 for stdplus,
    in their usual forms.

    Args:
        head: String. One of `HEADS`.
        pixels: Integer. Number of pixels.
        width: Integer. Width of the ReLU layers.
        depth: Integer. Number of ReLU layers in the encoder and in the decoder.
        latents: Integer. Number of latent dimensions.
        seed: Integer. Seed of weights and noise.

    Returns:
        `keras.Model` that maps `(batch, pixels)` to logits of that shape, in float32 or wider.
        Its additional loss is the rate.
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
    wide = keras.config.dtype_policy().variable_dtype  # as under mixed precision
    initializer = keras.initializers.GlorotUniform(first_seed + 300)
    logits = layers.Dense(pixels, kernel_initializer=initializer, dtype=wide, name="logits")(z)
    return keras.Model(inputs, logits, name="vae")


def negative_log_likelihood(pixels, logits):
    """Return the negative log-likelihood of Bernoulli pixels in nats per image."""
    return ops.sum(ops.softplus(logits) - pixels * logits, axis=-1)
