"""A damaged checkpoint is reported, and the previous one replaces it."""

import pathlib
import shutil

import keras
import numpy as np
import pytest

from applications.experiment import sealed_weights
from applications.experiment.resumable_training import Checkpoint
from tests.damage import flipped_bits
from tests.support import to_numpy

STEPS = 2


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the checkpoints of epochs 2 and 3, and the state after each epoch."""
    folder = tmp_path_factory.mktemp("checkpoints")
    model = build()
    states = [state(model)]
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: states.append(state(model)))
    checkpoint = Checkpoint(folder, STEPS, epochs=3, seconds=0.0)
    data = np.ones((8, 3), "float32"), np.zeros((8, 2), "float32")
    model.fit(*data, batch_size=4, epochs=3, verbose=0, callbacks=[keep, checkpoint])
    return folder, states


@pytest.fixture
def folder(trained, tmp_path):
    for path in trained[0].iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def state(model):
    return [
        np.array(to_numpy(variable)) for variable in [*model.variables, *model.optimizer.variables]
    ]


def restore(folder, model=None):
    """Return after how many epochs training continues, and the state it continues with."""
    model = build() if model is None else model
    return Checkpoint(folder, STEPS, epochs=3).restore(model), state(model)


def assert_restored(restored, epoch, states):
    assert restored[0] == epoch
    for found, expected in zip(restored[1], states[epoch], strict=True):
        np.testing.assert_array_equal(found, expected)


def flip(path, position=-1000):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def unseal(path):
    """Make a checkpoint one of the time before they had checksums."""
    path.write_bytes(path.read_bytes()[512:])


def test_the_last_of_two_checkpoints_is_restored(folder, trained, capsys):
    assert {path.name for path in folder.iterdir()} == {"latest.weights.h5", "previous.weights.h5"}
    assert_restored(restore(folder), 3, trained[1])
    # Killed before the new one took the place of the last one, that is the previous one.
    (folder / "latest.weights.h5").unlink()
    assert_restored(restore(folder), 2, trained[1])
    (folder / "previous.weights.h5").unlink()
    assert_restored(restore(folder), 0, trained[1])
    assert capsys.readouterr().out == ""


def test_a_flipped_bit_is_told(folder, trained, capsys):
    path = folder / "latest.weights.h5"
    for content in flipped_bits(path.read_bytes(), number=40):
        path.write_bytes(content)
        assert sealed_weights.is_whole(path) is False
    model = build()
    assert_restored(restore(folder, model), 2, trained[1])
    out = capsys.readouterr().out
    assert out == f"{folder.name}: latest.weights.h5 damaged, training continues after epoch 2\n"
    assert {p.name for p in folder.iterdir()} == {
        "damaged_latest.weights.h5",
        "previous.weights.h5",
    }


def test_a_damaged_checkpoint_takes_no_other_s_place(folder, trained):
    """The next save keeps the undamaged checkpoint."""
    flip(folder / "latest.weights.h5")
    model = build()
    checkpoint = Checkpoint(folder, STEPS, epochs=3, seconds=0.0)
    assert checkpoint.restore(model) == 2
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(2)
    assert_restored(restore(folder), 2, trained[1])
    flip(folder / "latest.weights.h5")
    assert_restored(restore(folder), 2, trained[1])


def test_training_begins_anew_without_a_whole_checkpoint(folder, trained, capsys):
    for path in folder.iterdir():
        flip(path)
    assert_restored(restore(folder), 0, trained[1])
    names = "latest.weights.h5, previous.weights.h5"
    assert capsys.readouterr().out == f"{folder.name}: {names} damaged, training starts over\n"


@pytest.mark.parametrize("length", [0, 300, 512, -1])
def test_a_checkpoint_cut_short(folder, trained, length):
    path = folder / "latest.weights.h5"
    path.write_bytes(path.read_bytes()[:length])
    assert_restored(restore(folder), 2, trained[1])


def test_a_folder_in_place_of_a_checkpoint(folder, trained, capsys):
    path = folder / "latest.weights.h5"
    path.unlink()
    path.mkdir()
    assert_restored(restore(folder), 2, trained[1])
    assert "latest.weights.h5 damaged, training continues after epoch 2" in capsys.readouterr().out


def test_a_checkpoint_without_a_checksum_is_restored(folder, trained, capsys):
    unseal(folder / "latest.weights.h5")
    assert sealed_weights.is_whole(folder / "latest.weights.h5") is None
    assert_restored(restore(folder), 3, trained[1])
    assert capsys.readouterr().out == ""


def test_half_a_checkpoint_without_a_checksum_changes_nothing(folder, trained, monkeypatch, capsys):
    unseal(folder / "latest.weights.h5")
    (folder / "previous.weights.h5").unlink()
    load = keras.Model.load_weights

    def load_half(model, path):
        load(model, path)
        raise KeyError("damaged in the second half")

    monkeypatch.setattr(keras.Model, "load_weights", load_half)
    assert_restored(restore(folder), 0, trained[1])
    assert "latest.weights.h5 damaged, training starts over" in capsys.readouterr().out
    assert (folder / "damaged_latest.weights.h5").exists()


def test_a_whole_checkpoint_of_another_model_is_left_alone(folder):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"(?s)latest\.weights\.h5 cannot be loaded.*Delete it"):
        restore(folder, model)
    assert sealed_weights.is_whole(folder / "latest.weights.h5")


def test_weights_are_replaced_as_a_whole(tmp_path, monkeypatch):
    """A process that is killed before the end leaves those that were there."""
    path, model = tmp_path / "models" / "model.weights.h5", build()
    sealed_weights.save(model, path)
    assert sealed_weights.is_whole(path)
    content = path.read_bytes()
    model.set_weights([value + 1.0 for value in model.get_weights()])

    def killed(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model, "save_weights", killed)
        with pytest.raises(KeyboardInterrupt):
            sealed_weights.save(model, path)
    assert path.read_bytes() == content
    sealed_weights.save(model, path)
    assert path.read_bytes() != content
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_sealed_file_of_weights_is_one(tmp_path):
    path = tmp_path / "model.weights.h5"
    model = build()
    model.save_weights(path)
    content = path.read_bytes()
    sealed_weights.check(path)
    sealed_weights.seal(path)
    assert path.read_bytes()[512:] == content
    assert [entry.name for entry in pathlib.Path(tmp_path).iterdir()] == [path.name]
    sealed_weights.check(path)
    other = build()
    other.set_weights([np.zeros_like(value) for value in model.get_weights()])
    other.load_weights(path)
    for found, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    flip(path)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 is damaged.*checksum"):
        sealed_weights.check(path)
