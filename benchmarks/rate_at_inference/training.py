"""Training of a classifier that records the mean square of each batch, and its results."""

import dataclasses

import keras
import numpy as np
from keras import ops

import keras_slashed
from applications.models import mlp
from applications.table1.compiled_classifier import compile_for_training
from applications.table1.config import Setting
from applications.training.epoch_seeds import ShuffledBatches
from applications.training.epoch_seeds import fit
from applications.training.epoch_seeds import set_noise
from benchmarks.rate_at_inference.estimates import estimates

CALIBRATED = "calibrated"
# Widths of hidden layers and bottleneck by data set. Those of MNIST are the paper's.
_UNITS = {"digits": ((128, 128), 64), "mnist": ((1024, 1024), 512)}


@dataclasses.dataclass(frozen=True)
class Case:
    """The options of a training."""

    dataset: str  # "digits" or "mnist"
    normalization: str  # "batch" or "feature"
    learning_rate: float  # of Adam
    decay: float  # factor of the learning rate every two epochs
    weight_decay: float  # strength of an L2 penalty
    batch_size: int  # number of images in a batch
    seed: int  # of weights, batches and noise


class BatchMeanSquares(keras.callbacks.Callback):
    """Record the mean square of each batch.

    Args:
        layer: `RateNormalization` with a momentum of 0, so that its statistic is that of the
            last batch.
    """

    def __init__(self, layer):
        super().__init__()
        self._layer = layer
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()  # during an epoch Keras keeps JAX's values elsewhere
        value = ops.convert_to_numpy(self._layer.moving_mean_square)
        self.values.append(np.array(value, "float64"))


def measured(case, data, epochs, told, on_epoch=lambda: None):
    """Train a case, and yield the results after some epochs for each estimate.

    Args:
        case: `Case` to train.
        data: `ImageData` to train and test on.
        epochs: Sequence of integers. Numbers of epochs after which to measure.
        told: Float. The set rate in nats.
        on_epoch: Function that is called after each epoch.

    Yields:
        Dicts with the number of epochs, the estimate, the ratio of the mean rate of the
        training images at inference to the set rate, the lowest and the highest such ratio of a
        latent dimension, and loss and error on the test images, for probabilities averaged over
        12 draws.
    """
    keras.utils.set_random_seed(case.seed)
    model, judge = (_build(case, data, told, num_samples) for num_samples in (None, 12))
    vib = model.get_layer("bottleneck")
    layer = vib.rate_normalization
    encoder = keras.Model(model.inputs, vib.input)
    batches = ShuffledBatches(data.x_train, data.y_train, case.batch_size, case.seed)
    setting = Setting(
        learning_rate=case.learning_rate,
        learning_rate_decay=case.decay,
        weight_decay=case.weight_decay,
    )
    compile_for_training(model, setting, len(batches))
    recorder = BatchMeanSquares(layer)
    for epoch in range(max(epochs)):
        fit(model, batches, case.seed, [recorder], initial_epoch=epoch, epochs=epoch + 1)
        on_epoch()
        if epoch + 1 not in epochs:
            continue
        amplitude = encoder.predict(data.x_train, batch_size=500, verbose=0)
        found = estimates(np.array(recorder.values), len(batches))
        keras_slashed.calibration.calibrate(model, data.x_train, batch_size=500)
        found[CALIBRATED] = ops.convert_to_numpy(layer.moving_mean_square)
        for name, square in found.items():
            layer.moving_mean_square.assign(square)
            rates = _mean_rates(layer, amplitude)
            shares = rates / (told / len(rates)) if case.normalization == "feature" else [np.nan]
            loss, error = _judged(judge, model, data, case.seed)
            yield {
                "epochs": epoch + 1,
                "estimate": name,
                "ratio": rates.sum() / told,
                "lowest_share": np.min(shares),
                "highest_share": np.max(shares),
                "test_loss": loss,
                "test_error": error,
            }


def _build(case, data, told, num_samples):
    hidden_units, bottleneck_units = _UNITS[case.dataset]
    return mlp.build(
        data.x_train.shape[1:],
        data.num_classes,
        hidden_units,
        bottleneck_units=bottleneck_units,
        num_samples=num_samples,
        inference="sample",
        rate=told,
        normalization=case.normalization,
        momentum=0.0,
    )


def _mean_rates(layer, amplitude):
    """Return the mean rate of each latent dimension at inference, computed in NumPy."""
    total = 0.0
    for start in range(0, len(amplitude), 5000):
        scaled = np.float64(ops.convert_to_numpy(layer(amplitude[start : start + 5000])))
        real, imaginary = np.split(scaled, 2, axis=-1)
        total = total + np.sum(real**2 + imaginary**2, axis=0)
    return total / len(amplitude)


def _judged(judge, model, data, seed):
    """Return cross-entropy and error on the test images."""
    judge.set_weights(model.get_weights())
    set_noise(judge, seed)
    logits = np.float64(judge.predict(data.x_test, batch_size=500, verbose=0))
    largest = logits.max(axis=-1, keepdims=True)
    normalizer = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=-1))
    loss = normalizer - logits[np.arange(len(logits)), data.y_test]
    return loss.mean(), np.mean(logits.argmax(axis=-1) != data.y_test)
