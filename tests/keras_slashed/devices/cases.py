"""Computations on one device and on several devices, to compare."""

import keras
import numpy as np
from keras import ops

from applications.training import devices
from applications.training.epoch_seeds import ShuffledBatches
from keras_slashed.calibration import calibrate
from keras_slashed.callbacks import RateMonitor
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.metrics import ActiveUnits
from keras_slashed.metrics import MutualInformation
from tests.support import BACKEND
from tests.support import gradient
from tests.support import to_numpy

RATE = 2.25
ROWS, SIZE = 16, 6
# Shares of two devices, on purpose unequal, in size, scale and number of masked rows.
SHARES = (slice(0, 10), slice(10, 16))

_rng = np.random.default_rng(0)
AMPLITUDE = _rng.normal(size=(ROWS, SIZE)).astype("float32")
AMPLITUDE[SHARES[1]] *= 3.0
UPSTREAM = _rng.normal(size=(ROWS, SIZE)).astype("float32")
MASK = np.arange(ROWS) % 5 < 3
MASK[SHARES[1]] = np.arange(6) == 2
RATES = _rng.uniform(0.5, 4.0, ROWS).astype("float32")

CASES = {
    "batch": {},
    "feature": {"normalization": "feature", "momentum": 0.5},
    "instance": {"normalization": "instance"},
    "mean_part": {"part": "mean"},
    "batch_mask": {"mask": True},
    "feature_mask_rates": {"normalization": "feature", "mask": True, "rates": True},
    "batch_rates": {"rates": True},
    "batch_large_rates": {"rates": 5e37, "mask": True},
    "feature_small_rates": {"normalization": "feature", "rates": 1e-30},
    "share_masked": {"mask": "share"},
    "unsynchronized": {"synchronized": False},
}


def options_of(case):
    """Return the arguments of a case's `RateNormalization`."""
    options = {key: value for key, value in case.items() if key not in ("mask", "rates")}
    return {"rate": RATE, "synchronized": True, **options}


def inputs_of(case, rows=slice(None)):
    """Return the amplitude, the gradient upstream, the mask and the rates of some rows."""
    mask = None
    if case.get("mask"):
        mask = MASK.copy()
        if case["mask"] == "share":
            mask[SHARES[1]] = False
        mask = mask[rows]
    unit = case.get("rates")
    rates = RATES[rows] * np.float32(unit) if unit else None
    return AMPLITUDE[rows], UPSTREAM[rows] / np.float32(unit or 1.0) ** 0.5, mask, rates


def normalized(case, rows=slice(None)):
    """Return what a layer computes here on some rows, in training and then at inference."""
    amplitude, upstream, mask, rates = inputs_of(case, rows)
    layer = RateNormalization(**options_of(case))
    outputs = layer(amplitude, rate=rates, mask=mask, training=True)
    other = RateNormalization(**options_of(case))

    def weighted(x):
        return ops.convert_to_tensor(upstream) * other(x, rate=rates, mask=mask, training=True)

    return {
        "outputs": to_numpy(outputs),
        "gradient": to_numpy(gradient(weighted, amplitude)),
        "statistic": statistic(layer),
        "inferred": to_numpy(layer(amplitude)),
    }


def statistic(layer):
    """Return the moving statistic of a layer as a vector."""
    moving = [to_numpy(weight).ravel() for weight in layer.weights if "moving" in weight.path]
    return np.concatenate([*moving, np.zeros(0)])


def calibrated():
    """Return a layer and one behind it, calibrated on rows of which each process has its own."""
    inputs = keras.Input((SIZE,))
    layers = [RateNormalization(RATE, kind, synchronized=True) for kind in ("feature", "batch")]
    model = keras.Model(inputs, layers[1](layers[0](inputs)))
    calibrate(model, calibration_rows()[devices.share()], batch_size=16)
    return layers


def calibration_rows():
    """Return rows of more and more; on JAX Keras needs whole batches, or rows on all devices."""
    rows = np.random.default_rng(4).normal(size=(48, SIZE))
    return np.float32(rows * np.linspace(1.0, 9.0, 48)[:, None])[: 48 if BACKEND == "jax" else 43]


def metrics():
    """Return metrics by name, each built, of states that are more than sums."""
    found = {
        "active_units": ActiveUnits(),
        "mutual_information": MutualInformation(capacity=2 * ROWS, seed=0),
    }
    for metric in found.values():
        metric.build((None, SIZE))
    return found


def metric_batch(index, rows=slice(None)):
    """Return some rows of an amplitude and of its weights; means and number change with it."""
    return AMPLITUDE[rows] + 2.0 * index, np.float32(MASK[rows] | (index == 1))


class Batches(ShuffledBatches):
    """Batches in the order of the data, of which each process supplies its share."""

    def set_epoch(self, epoch):
        self._order = np.arange(len(self._y))

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x[devices.share()], y[devices.share()]


def labelled_data():
    """Return inputs, and the class of each, which a linear function of them tells."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(256, 8)).astype("float32")
    return x, (x @ rng.normal(size=8) > 0.0).astype("int32")


def trained(bottleneck, epochs, optimizer, parallel=True):
    """Train a classifier by `fit`, `parallel` or here; return its weights and what it logged."""
    keras.utils.set_random_seed(3)
    classifier = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(SIZE, name="encoder"),
            bottleneck,
            keras.layers.Dense(2, name="decoder"),
        ]
    )
    model = devices.parallel(classifier) if parallel else classifier
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    batches = Batches(*labelled_data(), batch_size=32, seed=0)
    history = model.fit(
        batches, shuffle=False, epochs=epochs, verbose=0, callbacks=[RateMonitor()]
    ).history
    mean = devices.mean if parallel else list
    logged = {key: mean(values)[-1] for key, values in history.items()}
    names = ("kernel", "bias", "moving")
    weights = [w for w in classifier.weights if any(name in w.path for name in names)]
    return [to_numpy(weight) for weight in weights], logged


def trained_without_noise(parallel=True):
    """Train by a few steps that draw nothing, and so are the same on any devices."""
    bottleneck = RateNormalization(RATE, "feature", synchronized=True, name="bottleneck")
    return trained(bottleneck, 2, keras.optimizers.SGD(0.2, momentum=0.9), parallel)


def trained_vib():
    """Train a `FixedRateVIB` with draws and a price of its rate."""
    bottleneck = FixedRateVIB(4.0, kl_weight=0.1, synchronized=True, seed=1, name="bottleneck")
    return trained(bottleneck, 8, keras.optimizers.Adam(0.05))


def noise():
    """Return a layer that draws from the same posterior in each row, and its input."""
    return FixedRateVIB(2.0, seed=5), np.ones((8, SIZE), "float32")
