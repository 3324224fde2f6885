"""A row of Table 1: the same whatever ran before it, and when it was killed."""

import dataclasses
import functools
import json
import math

import keras
import numpy as np
import pytest

from applications.datasets import image_data
from applications.datasets import images
from applications.experiment import csv_tables
from applications.experiment import resumable_training
from applications.experiment.resumable_training import RowFiles
from applications.models import resnet18
from applications.table1 import row_runner as rows1
from applications.table1.compiled_classifier import CompiledClassifier
from applications.table1.compiled_classifier import build_classifier
from applications.table1.compiled_classifier import compile_for_training
from applications.table1.config import Setting
from applications.table1.config import default_setting
from applications.table1.row_runner import RowRunner
from applications.training.epoch_seeds import fit
from keras_slashed.layers import FixedRateVIB
from tests.support import BACKEND
from tests.support import to_numpy

pytestmark = pytest.mark.experiment("jax")

# Three full batches an epoch: every other size of batch is one more compilation.
SETTING = Setting(dataset="digits", epochs=3, batch_size=479, learning_rate=1e-3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One runner for the module: what it compiled for one test serves the others."""
    return RowRunner(images.load("digits"), tmp_path_factory.mktemp("rows"), "tests", 0.0)


@pytest.fixture
def runner(shared, tmp_path):
    shared.output = tmp_path
    return shared


def timeless(rows):
    return [{k: v for k, v in row.items() if "seconds" not in k} for row in rows]


def trained(runner, setting):
    """Train a row; return its history without times, and its weights."""
    history = runner.train(setting)
    return timeless(history), runner.compiled(setting).classifier.get_weights()


def assert_same(one, other):
    assert one[0] == other[0]
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_row_does_not_depend_on_the_row_before_it(runner, tmp_path):
    second = dataclasses.replace(SETTING, seed=1, rate_multiplier=0.25)
    rows = []
    for setting, folder in ((SETTING, "a"), (second, "b"), (SETTING, "c")):
        runner.output = tmp_path / folder
        rows.append((runner(setting), runner.compiled(setting).classifier.get_weights()))
    (first, weights), (other, _), (again, weights_again) = rows
    assert_same((timeless([first]), weights), (timeless([again]), weights_again))
    assert float(other["rate_nats"]) == pytest.approx(0.25 * np.log(10), rel=1e-5)
    assert first["eps_0.2"] != other["eps_0.2"]
    histories = [next((tmp_path / f / "history").iterdir()) for f in "ac"]
    assert timeless(csv_tables.read_rows(histories[0])) == timeless(
        csv_tables.read_rows(histories[1])
    )


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs eagerly: nothing is compiled")
def test_a_second_row_compiles_nothing(runner, monkeypatch):
    traced = []
    call = FixedRateVIB.call

    @functools.wraps(call)
    def counting_call(layer, *args, **kwargs):
        traced.append(layer)
        return call(layer, *args, **kwargs)

    monkeypatch.setattr(FixedRateVIB, "call", counting_call)
    build_classifier(SETTING, runner.data)
    by_building = len(traced)
    one = dataclasses.replace(SETTING, epochs=1)
    runner(one)  # whatever was compiled before, now all is
    traced.clear()
    runner(dataclasses.replace(one, seed=5, rate_multiplier=0.5))
    assert len(traced) == by_building
    # The counter sees a compilation where there is one.
    traced.clear()
    runner.compiled(one).model.make_train_function(force=True)
    fit(runner.compiled(one).model, runner.batches(one), one.seed)
    assert traced


def test_the_attack_is_at_the_rate_of_the_row(runner):
    """Not at the one that was compiled first."""
    # "instance": an untrained layer of the others leaves amplitudes unscaled.
    first = dataclasses.replace(SETTING, normalization="instance")
    low = dataclasses.replace(first, rate_multiplier=0.01)
    shared, fresh = CompiledClassifier(first, runner.data), CompiledClassifier(low, runner.data)
    shared.start(first)
    errors = shared.attack(first)
    for compiled in (shared, fresh):
        compiled.start(low)
    np.testing.assert_array_equal(shared.attack(low), fresh.attack(low))
    assert (shared.attack(low) != errors).any()


def test_the_initializer_is_state_and_epsilon_is_not(runner):
    compiled = runner.compiled(SETTING)
    torch_like = dataclasses.replace(SETTING, initializer="torch")
    assert runner.compiled(torch_like) is compiled
    compiled.start(torch_like)
    begun = compiled.classifier.get_layer("hidden_2").get_weights()
    compiled.start(SETTING)
    _, bias = compiled.classifier.get_layer("hidden_2").get_weights()
    assert bias.max() == 0.0, "nothing of the row before is left"
    assert all(0.031 < np.abs(values).max() <= 1 / 32 for values in begun)
    other = dataclasses.replace(SETTING, adam_epsilon=1e-8)
    with pytest.raises(ValueError, match="must have the shape that was compiled"):
        compiled.start(other)
    assert float(compiled.model.optimizer.epsilon) == 1e-7
    assert float(CompiledClassifier(other, runner.data).model.optimizer.epsilon) == 1e-8


def test_a_killed_row_keeps_its_initializer_and_epsilon(runner, tmp_path):
    chosen = dataclasses.replace(SETTING, initializer="torch", adam_epsilon=1e-3, epochs=2)
    runner.output = tmp_path / "whole"
    whole = trained(runner, chosen)
    runner.output = tmp_path / "killed"

    def kill(epoch, logs):
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        runner.train(chosen, kill)
    (description,) = runner.output.glob("checkpoints/*/setting.json")
    kept = json.loads(description.read_text())
    assert (kept["initializer"], kept["adam_epsilon"]) == ("torch", 1e-3)
    # Rows that differ in these alone have checkpoints of their own.
    begins = []
    for other in (dict(initializer="keras"), dict(adam_epsilon=1e-7)):
        other = dataclasses.replace(chosen, epochs=1, **other)
        _, weights = trained(runner, other)
        assert not np.array_equal(weights[0], whole[1][0])
    history = runner.train(chosen, lambda epoch, logs: begins.append(epoch))
    assert begins == [1, 2]
    assert_same((timeless(history), runner.compiled(chosen).classifier.get_weights()), whole)


class Killed(BaseException):
    pass


def test_a_killed_row_ends_as_it_would_have(runner, tmp_path):
    runner.output = tmp_path / "whole"
    whole = trained(runner, SETTING)
    runner.output = tmp_path / "killed"

    def kill(epoch, logs):
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        runner.train(SETTING, kill)
    # Another row in between leaves nothing behind.
    runner.output = tmp_path / "other"
    runner.train(dataclasses.replace(SETTING, epochs=1, seed=7))
    runner.output = tmp_path / "killed"
    epochs = []
    history = runner.train(SETTING, lambda epoch, logs: epochs.append(epoch))
    assert epochs == [2, 3]
    assert_same((timeless(history), runner.compiled(SETTING).classifier.get_weights()), whole)
    # All trained, and killed before it was attacked: nothing is trained again.
    epochs.clear()
    history = runner.train(SETTING, lambda epoch, logs: epochs.append(epoch))
    assert epochs == [3]
    assert_same((timeless(history), runner.compiled(SETTING).classifier.get_weights()), whole)


def test_a_history_ahead_of_its_checkpoint_is_cut(runner, monkeypatch):
    monkeypatch.setattr(runner, "_checkpoint_seconds", 1e9)
    setting = dataclasses.replace(SETTING, seed=2)

    def kill(epoch, logs):
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        runner.train(setting, kill)
    assert not list(runner.output.glob("checkpoints/*/*.weights.h5"))
    history = runner.train(setting)
    assert [row["epoch"] for row in history] == ["0", "1", "2"]


def test_a_row_with_a_damaged_checkpoint_ends_as_it_would_have(runner, tmp_path, capsys):
    runner.output = tmp_path / "whole"
    whole = trained(runner, SETTING)
    (folder,) = runner.output.glob("checkpoints/*")
    last, previous = folder / "latest.weights.h5", folder / "previous.weights.h5"
    for damaged, first in (((last,), 2), ((last, previous), 0)):
        for path in damaged:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        epochs = []
        history = runner.train(SETTING, lambda epoch, logs, epochs=epochs: epochs.append(epoch))
        assert epochs == list(range(first, 4))
        assert_same((timeless(history), runner.compiled(SETTING).classifier.get_weights()), whole)
        then = f"continues after epoch {first}" if first else "starts over"
        assert f"damaged, training {then}\n" in capsys.readouterr().out


def test_an_old_damaged_checkpoint(runner, capsys):
    folder = RowFiles(runner.output, SETTING, runner.data.sha256).checkpoints
    folder.mkdir(parents=True)
    (folder / "latest.weights.h5").write_bytes(b"\x89HDF cut short")
    assert len(runner.train(SETTING)) == SETTING.epochs
    assert "latest.weights.h5 damaged, training starts over" in capsys.readouterr().out


def test_another_shape_is_refused(runner):
    compiled = runner.compiled(SETTING)
    with pytest.raises(ValueError, match="must have the shape that was compiled"):
        compiled.start(dataclasses.replace(SETTING, momentum=0.5))


@pytest.mark.parametrize("bottleneck", ["none", "vib"])
def test_attack_samples_and_the_model_without_a_vib(bottleneck, tmp_path):
    data = images.load("digits")
    setting = dataclasses.replace(SETTING, bottleneck=bottleneck, attack_samples=1)
    compiled = RowRunner(data, tmp_path, "tests").compiled(setting)
    compiled.start(setting)
    errors = compiled.attack(setting)
    assert errors.shape == (2, 5)
    assert 0.5 < errors[0, 0] <= 1.0, "untrained"
    np.testing.assert_array_equal(errors, compiled.attack(setting))


PIXELS = image_data.random_images(4, 3)


def test_the_optimizer_is_that_of_the_setting():
    """The learning rate falls in steps of two epochs; both kinds of weight decay arrive."""
    setting = Setting(learning_rate=0.5, learning_rate_decay=0.8, weight_decay=0.3,
                      adam_epsilon=1e-3)  # fmt: skip
    for kind in ("coupled", "decoupled"):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
        compile_for_training(model, dataclasses.replace(setting, weight_decay_kind=kind), 3)
        optimizer = model.optimizer
        rates = [float(to_numpy(optimizer._learning_rate(step))) for step in range(13)]
        np.testing.assert_allclose(rates, [0.5] * 6 + [0.4] * 6 + [0.32], rtol=1e-6)
        assert optimizer.epsilon == 1e-3
        decays = getattr(optimizer, "penalty", 0.0), optimizer.weight_decay or 0.0
        assert decays == {"coupled": (0.3, 0.0), "decoupled": (0.0, 0.3)}[kind]
        assert model.loss.from_logits


def test_every_option_of_a_setting_reaches_the_network(monkeypatch):
    monkeypatch.setattr(resnet18, "_STAGES", 1)
    setting = Setting(normalization="feature", rate_multiplier=0.5, part="mean", momentum=0.5,
                      relu_amplitude=True, dtype_policy="mixed_bfloat16")  # fmt: skip
    model = build_classifier(setting, PIXELS, 7)
    layer = model.get_layer("bottleneck")
    own = layer.rate_normalization
    assert (own.normalization, own.part, own.momentum) == ("feature", "mean", 0.5)
    assert float(layer.rate) == pytest.approx(0.5 * math.log(10))
    assert layer.num_samples == 7
    assert layer.inference == "sample"
    assert model.get_layer("amplitude").activation is keras.activations.relu
    assert {layer.dtype_policy.name for layer in model.layers} == {"mixed_bfloat16"}
    assert keras.config.dtype_policy().name == "float32"
    beta = build_classifier(Setting(bottleneck="beta_vib", beta=0.25), PIXELS)
    assert float(beta.get_layer("bottleneck").kl_weight.value) == 0.25
    small = dataclasses.replace(default_setting("cifar10"), bottleneck="none", width=8)
    for stem, augment in (("cifar", True), ("imagenet", False)):
        changed = dataclasses.replace(small, stem=stem, augment=augment)
        layers = build_classifier(changed, PIXELS, input_shape=(8, 8, 3)).layers
        names = {layer.name for layer in layers}
        assert ("augmentation" in names, "stem_pool" in names) == (augment, stem == "imagenet")
        # The usual one of CIFAR-10: 4 pixels of black.
        found = [(one.padding, one.fill_value) for one in layers if one.name == "augmentation"]
        assert found == [(4, -1.0)] * augment


@pytest.mark.parametrize("attack_samples", [1, 3, 5])
def test_evaluation_and_attack_average_their_numbers_of_draws(attack_samples):
    setting = Setting(num_samples=5, attack_samples=attack_samples)
    compiled = CompiledClassifier(setting, PIXELS)
    samples = [
        model.get_layer("bottleneck").num_samples
        for model in (compiled.classifier, compiled._judge, compiled._attacked)
    ]
    assert samples == [None, 5, attack_samples if attack_samples > 1 else None]


def test_the_seed_decides_weights_order_and_noise(tmp_path, monkeypatch):
    """Each of them, so that the standard deviation over seeds is that of whole trainings."""
    runner = rows1.RowRunner(PIXELS, tmp_path, "tests")
    settings = [Setting(bottleneck="none", batch_size=4, seed=seed) for seed in (0, 5)]
    weights, noise = [], []
    monkeypatch.setattr(
        resumable_training, "fit", lambda model, batches, seed, *_, **__: noise.append(seed)
    )
    for setting in settings:
        runner.train(setting)
        weights.append(runner.compiled(setting).classifier.get_weights()[0])
        keras.utils.set_random_seed(setting.seed)
        expected = build_classifier(setting, PIXELS).get_weights()[0]
        np.testing.assert_array_equal(weights[-1], expected)
    assert noise == [0, 5]
    assert not np.array_equal(*weights)
    monkeypatch.setattr(runner, "data", image_data.random_images(100, 3))
    orders = [next(iter(runner.batches(setting)))[0] for setting in settings]
    assert not np.array_equal(*orders)


def test_the_numbers_of_test_images_are_those_of_test_images(tmp_path):
    runner = rows1.RowRunner(PIXELS, tmp_path, "tests")
    numbers, labels = runner._test_images()
    stored = np.concatenate([PIXELS.x_train, PIXELS.x_test])
    np.testing.assert_array_equal(stored[numbers], PIXELS.x_test)
    np.testing.assert_array_equal(labels, PIXELS.y_test)
