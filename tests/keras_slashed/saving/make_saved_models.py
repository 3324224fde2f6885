"""Write what test_saved_models.py loads: models trained on one backend, and what they say.

On each backend in turn, from a checkout, with the oldest Keras that is supported (an
older one does not read what a newer one wrote):

    KERAS_BACKEND=jax python -m tests.keras_slashed.saving.make_saved_models

writes `jax.keras` and `jax.npz` to `tests/fixtures`. Needed again only where a layer gets
another weight; that files of an older version still load is a test too.
"""

import os
import pathlib
import zipfile

import keras
import numpy as np

from keras_slashed import ops
from keras_slashed.callbacks import KLWarmup
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.rates import CommittedRate
from keras_slashed.rates import LearnableRate

FOLDER = pathlib.Path(__file__).parent / "fixtures"
BACKENDS = ("jax", "tensorflow", "torch")
EPOCHS = 2  # before saving, and as many after
BATCH = 8
X = np.random.default_rng(0).normal(size=(4 * BATCH, 6)).astype("float32")


def make_model():
    """Return a model of all layers, rates and kinds of prior, compiled.

    The loss is the rates alone, which do not depend on the noise: training is the same
    on every backend.
    """
    dense = keras.layers.Dense
    inputs = keras.Input((6,), name="features")
    hidden = dense(8, activation="tanh", name="hidden")(inputs)
    # The momentum that was the default when the files were written.
    top = FixedRateVIB(CommittedRate(1.0, 0.5), "feature", momentum=0.99, kl_weight=0.5, name="top")
    z = top(dense(6, name="top_amplitude")(hidden))
    amplitude = dense(6, name="bottom_amplitude")(hidden)
    bottom = SlashedNormalSampling(0.5, inference="mean", free_bits=0.01, name="bottom")(
        amplitude,
        prior_mean=z,
        prior_stddev=ops.stdplus(z),
        rotation=ops.householder_rotation(keras.layers.Reshape((2, 3))(amplitude)),
    )
    scaled = RateNormalization(LearnableRate(3.0), momentum=0.99, name="scaled")(amplitude)
    fixed = FixedRateVIB(2.0, "instance", name="fixed")(amplitude)
    outputs = keras.layers.Concatenate()([bottom, scaled, fixed, ops.rate(scaled)[:, None]])
    return compiled(keras.Model(inputs, outputs))


def compiled(model):
    """Compile a model, with an optimizer that has all its state; return the model."""
    # Where a gradient is 0, epsilon keeps Adam from making steps of its rounding errors.
    optimizer = keras.optimizers.Adam(0.02, epsilon=1e-3)
    model.compile(optimizer, "mse", loss_weights=0.0, jit_compile=False)
    optimizer.build(model.trainable_variables)
    return model


def train(model, first_epoch, last_epoch):
    """Train from one epoch to another with an annealed weight of the KL; return the history."""
    targets = np.zeros((len(X), *model.output_shape[1:]), "float32")
    return model.fit(
        X,
        targets,
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        initial_epoch=first_epoch,
        epochs=last_epoch,
        callbacks=[KLWarmup(steps=12)],
    ).history


def rates(model):
    """Return the mean rate in the last epoch of each layer that has one."""
    names = ("top", "scaled", "bottom", "fixed")
    results = {name: model.get_layer(name).rate_tracker.result(training=True) for name in names}
    assert None not in results.values()
    return np.array(list(results.values()))


def statistics(model):
    """Return the moving mean squares and the weights that they have gathered."""
    variables = [v for v in model.non_trainable_variables if "/moving_" in v.path]
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)) for v in variables])


def optimizer_state(model):
    """Return all that the optimizer remembers, but for steps and learning rate."""
    variables = model.optimizer.variables[2:]
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(v)) for v in variables])


def compress(path):
    """Write a `.keras` file again, which is a zip archive whose files Keras leaves as they are."""
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(temporary, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name), zipfile.ZIP_DEFLATED, compresslevel=9)
    os.replace(temporary, path)


def main():
    """Train, save, train on, and write what came of it."""
    name = keras.backend.backend()
    keras.utils.set_random_seed(0)
    model = make_model()
    train(model, 0, EPOCHS)
    FOLDER.mkdir(exist_ok=True)
    model.save(FOLDER / f"{name}.keras")
    compress(FOLDER / f"{name}.keras")
    arrays = {
        "outputs": model.predict(X, verbose=0),
        "rates": rates(model),
        "statistics": statistics(model),
        "iterations": int(model.optimizer.iterations),
        "optimizer": optimizer_state(model),
    }
    history = train(model, EPOCHS, 2 * EPOCHS)
    arrays["later_losses"] = history["loss"]
    arrays["later_kl_weights"] = history["bottom_kl_weight"]
    arrays["later_rates"] = rates(model)
    arrays["later_outputs"] = model.predict(X, verbose=0)
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
    print("\n".join(f"{key}: {np.ravel(value)[:6]}" for key, value in arrays.items()))


if __name__ == "__main__":
    main()
