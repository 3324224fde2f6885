"""Rate and error of a VIB and a VAE trained through `model.fit` under a dtype policy."""

import keras
import numpy as np

from applications.models import mlp
from benchmarks.precision_stress.model import build
from benchmarks.precision_stress.model import negative_log_likelihood
from benchmarks.precision_stress.model import using_policy
from keras_slashed.callbacks import RateMonitor

MODELS = ("VIB", "VAE")
RATE = float(np.log(10.0))  # rate of the VIB in nats
_BATCH_SIZE = 100
_DRAWS = 12  # posterior draws for the ELBO


def train(model, policy, data, epochs, seed=0, width=128):
    """Train a model and return the results.

    The VIB is `applications.models.mlp` with `FixedRateVIB` at log(10) nats. The VAE is that of
    `benchmarks.precision_stress.model` with two layers in encoder and decoder. With
    mixed_float16 Keras scales the loss.

    Args:
        model: String. One of `MODELS`.
        policy: String. Name of a dtype policy.
        data: `ImageData` to train and test on.
        epochs: Integer. Number of passes over the training images.
        seed: Integer. Seed of weights, batches and noise.
        width: Integer. Width of the hidden layers.

    Returns:
        Dict with the mean `rate` of the last epoch in nats, `losses_are_finite` for all epochs,
        and `is_scaled`, whether Keras scaled the loss. On the test images, it has the VIB's
        `error` from 0 to 1, or the VAE's `elbo` in nats as the mean of 12 draws.
    """
    with using_policy(policy):
        keras.utils.set_random_seed(seed)
        return {"VIB": _train_vib, "VAE": _train_vae}[model](data, epochs, seed, width)


def _train_vib(data, epochs, seed, width):
    vib = mlp.build(
        data.x_train.shape[1:],
        hidden_units=(width, width),
        bottleneck_units=32,
        rate=RATE,
        momentum=0.99,
        seed=seed,
    )
    vib.compile(
        keras.optimizers.Adam(5e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    reached = _fit(vib, data.x_train, data.y_train, epochs, "bottleneck")
    logits = vib.predict(data.x_test, batch_size=len(data.x_test), verbose=0)
    reached["error"] = float(np.mean(np.argmax(logits, -1) != data.y_test))
    return reached


def _train_vae(data, epochs, seed, width):
    x, x_test = pixels_of(data.x_train), pixels_of(data.x_test)
    vae = build("stdplus", x.shape[1], width, depth=2, seed=seed)
    vae.compile(keras.optimizers.Adam(5e-3), negative_log_likelihood)
    reached = _fit(vae, x, x, epochs, "latent")
    test = np.tile(x_test, (_DRAWS, 1))
    reached["elbo"] = -float(vae.evaluate(test, test, batch_size=len(x_test), verbose=0))
    return reached


def _fit(model, x, y, epochs, bottleneck):
    whole = len(x) // _BATCH_SIZE * _BATCH_SIZE  # a smaller last batch would be compiled again
    history = model.fit(
        x[:whole],
        y[:whole],
        batch_size=_BATCH_SIZE,
        epochs=epochs,
        verbose=0,
        callbacks=[RateMonitor()],
    ).history
    return {
        "rate": float(history[f"{bottleneck}_rate"][-1]),
        "losses_are_finite": bool(np.isfinite(history["loss"]).all()),
        "is_scaled": isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer),
    }


def pixels_of(images):
    """Return images with values in [-1, 1] as rows of pixels in [0, 1]."""
    return 0.5 * (images.reshape(len(images), -1) + 1.0)
