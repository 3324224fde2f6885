"""Saved models: from any backend to any other, and in the middle of a training."""

import os
import zipfile

import keras
import numpy as np
import pytest

from keras_slashed.callbacks import GECO
from keras_slashed.callbacks import CyclicalAnnealing
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.rates import CommittedRate
from tests.keras_slashed.saving import make_saved_models as saved
from tests.support import BACKEND

pytestmark = pytest.mark.every_case
every_writer = pytest.mark.parametrize("writer", saved.BACKENDS)


def load(writer, folder):
    """Return the model that a backend wrote, and what it said of it then."""
    path = saved.FOLDER / f"{writer}.keras"
    if writer == "torch" != BACKEND:
        # Keras writes the module of its PyTorch optimizers, which others cannot import:
        # the model has to be compiled again, before its weights bring the state back.
        model = saved.compiled(keras.saving.load_model(path, compile=False))
        model.load_weights(extract_weights(path, folder))
    else:
        model = keras.saving.load_model(path)
    return model, written_by(writer)


def written_by(writer):
    with np.load(saved.FOLDER / f"{writer}.npz") as arrays:
        return dict(arrays)


def extract_weights(path, folder):
    """Return the path of the file in a `.keras` file that `save_weights` writes too."""
    with zipfile.ZipFile(path) as archive:
        return archive.extract("model.weights.h5", folder)


def assert_as_written(model, written):
    """Outputs, mean rates, running statistics and the optimizer's state are what they were."""
    np.testing.assert_allclose(model.predict(saved.X, verbose=0), written["outputs"], atol=2e-6)
    np.testing.assert_array_equal(saved.rates(model), written["rates"])
    np.testing.assert_array_equal(saved.statistics(model), written["statistics"])
    assert len(written["statistics"]) == 3 + 1 + 1 + 1  # by "feature", and by "batch"
    assert int(model.optimizer.iterations) == written["iterations"] == 4 * saved.EPOCHS
    np.testing.assert_array_equal(saved.optimizer_state(model), written["optimizer"])
    assert np.abs(written["optimizer"]).max() > 0.01


@every_writer
def test_from_any_backend(writer, tmp_path):
    """A model is what it was, and its training continues as it did where it began.

    The annealing of the KL's weight included.
    """
    model, written = load(writer, tmp_path)
    assert_as_written(model, written)
    history = saved.train(model, saved.EPOCHS, 2 * saved.EPOCHS)
    np.testing.assert_allclose(history["loss"], written["later_losses"], rtol=1e-5)
    np.testing.assert_allclose(history["bottom_kl_weight"], written["later_kl_weights"], rtol=1e-6)
    np.testing.assert_allclose(saved.rates(model), written["later_rates"], rtol=1e-4)
    outputs = model.predict(saved.X, verbose=0)
    np.testing.assert_allclose(outputs, written["later_outputs"], atol=1e-4)
    assert np.abs(outputs - written["outputs"]).max() > 0.1


@every_writer
def test_an_old_file_keeps_its_momentum(writer, tmp_path):
    """The default was another when these were written."""
    model, _ = load(writer, tmp_path)
    momenta = {model.get_layer(name).get_config()["momentum"] for name in ("top", "scaled")}
    assert momenta == {0.99}
    assert RateNormalization(1.0).momentum == FixedRateVIB(1.0).rate_normalization.momentum == 0.9


@every_writer
def test_weights_file_from_any_backend(writer, tmp_path):
    model = saved.make_model()
    model.load_weights(extract_weights(saved.FOLDER / f"{writer}.keras", tmp_path))
    assert_as_written(model, written_by(writer))


def test_layout_of_files(tmp_path):
    """What every backend writes has the same arrays at the same places."""
    model = saved.make_model()
    path = os.path.join(tmp_path, "model.weights.h5")
    model.save_weights(path)
    expected = _datasets(path)
    for writer in saved.BACKENDS:
        assert _datasets(extract_weights(saved.FOLDER / f"{writer}.keras", tmp_path)) == expected


def _datasets(path):
    """Return {path: shape} of all arrays in an HDF5 file."""
    import h5py

    shapes = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: shapes.update({name: getattr(item, "shape", None)}))
    return shapes


X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = X[:, :1] * X[:, 1:2]
# Resuming each of the callbacks alone is tested with it.
SCHEDULES = {
    "cycles_by_step": lambda: CyclicalAnnealing(steps=14, cycles=2),
    "geco_by_epoch": lambda: GECO("mse", target=0.1, by="epoch", step_size=0.5),
}


def noiseless_model():
    """Return a model whose error and rates do not depend on the noise, which no file keeps."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="tanh")(inputs)
    latent = SlashedNormalSampling(0.5, name="latent")(keras.layers.Dense(2)(hidden))
    vib = FixedRateVIB(CommittedRate(0.5), kl_weight=0.1, name="vib")
    silent = keras.layers.Rescaling(0.0)
    outputs = keras.layers.Add()(
        [keras.layers.Dense(1)(hidden), silent(latent), silent(vib(keras.layers.Dense(2)(hidden)))]
    )
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(0.02, epsilon=1e-3)
    model.compile(optimizer, "mse", metrics=["mse"], jit_compile=BACKEND == "jax")
    return model


def fit(model, callbacks, epochs=4, initial_epoch=0):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, "initial_epoch": initial_epoch}
    return model.fit(X, Y, epochs=epochs, callbacks=callbacks, **options).history


def arrays(model):
    """Return copies of weights and of the optimizer's state, by name."""
    variables = [*model.weights, *model.optimizer.variables]
    return [(v.path, np.array(keras.ops.convert_to_numpy(v))) for v in variables]


@pytest.fixture(scope="module", params=SCHEDULES)
def undisturbed(request, tmp_path_factory):
    """How a training of four epochs ends: schedule, history, arrays, checkpoint of epoch 2."""
    make = SCHEDULES[request.param]
    path = os.path.join(tmp_path_factory.mktemp("undisturbed"), "epoch_{epoch}.keras")
    model = noiseless_model()
    history = fit(model, [make(), keras.callbacks.ModelCheckpoint(path)])
    assert history["latent_kl_weight"][3] != history["latent_kl_weight"][1]
    return make, history, arrays(model), path.format(epoch=2)


def assert_same_end(model, history, undisturbed):
    _, expected_history, expected, _ = undisturbed
    for name, values in expected_history.items():
        np.testing.assert_allclose(history[name], values[2:], rtol=1e-4, err_msg=name)
    for (path, one), (_, other) in zip(arrays(model), expected):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=path)


def test_checkpoint_in_the_middle_of_training(undisturbed):
    """Loaded as it was after two epochs, a model ends as if nothing had been."""
    make, _, _, path = undisturbed
    model = keras.saving.load_model(path)
    history = fit(model, [make()], initial_epoch=2)
    assert_same_end(model, history, undisturbed)


class _Crash(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_backup_and_restore(undisturbed, tmp_path):
    """Keras' own callback for killed trainings brings all of it back."""
    make = undisturbed[0]

    def backup():
        return keras.callbacks.BackupAndRestore(os.path.join(tmp_path, "backup"))

    with pytest.raises(KeyboardInterrupt):
        fit(noiseless_model(), [make(), backup(), _Crash()])
    model = noiseless_model()
    history = fit(model, [make(), backup()])
    assert_same_end(model, history, undisturbed)
