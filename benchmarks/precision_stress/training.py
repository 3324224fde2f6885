"""A VIB and a VAE trained through `model.fit` under a dtype policy: rate and error reached."""

import keras
import numpy as np

from applications.models import mlp
from benchmarks.precision_stress.model import build
from benchmarks.precision_stress.model import negative_log_likelihood
from benchmarks.precision_stress.model import using_policy
from keras_slashed.callbacks import RateMonitor

MODELS = ("VIB", "VAE")
RATE = float(np.log(10.0))  # of the VIB
_BATCH_SIZE = 100
_DRAWS = 12  # of the posterior, for the ELBO


def train(model, policy, data, epochs, seed=0, width=128):
    """Train a model and return what it reached.

    The VIB is `applications.models.mlp` with `FixedRateVIB` at log(10) nats, the VAE that of
    `precision_stress_model` with two layers on each side. With mixed_float16 Keras scales
    the loss.

    Args:
        model: One of `MODELS`.
        policy: Name of a dtype policy.
        data: An `ImageData`.
        epochs: Passes over the training images.
        seed: Of weights, batches and noise.
        width: Of the hidden layers.

    Returns:
        A dict: the mean `rate` of the last epoch in nats, `losses_are_finite` of every
        epoch, whether Keras scaled the loss (`is_scaled`), and, on the test images, the
        VIB's `error` from 0 to 1 or the VAE's `elbo` in nats, the mean of 12 draws.
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
    whole = len(x) // _BATCH_SIZE * _BATCH_SIZE  # a smaller last batch would compile anew
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
    """Return images of [-1, 1] as rows of pixels in [0, 1]."""
    return 0.5 * (images.reshape(len(images), -1) + 1.0)
