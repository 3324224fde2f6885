"""ResNet18 against NumPy on every backend, and against torch.nn on torch."""

import math

import keras
import numpy as np
import pytest

from applications.models import resnet18
from applications.models.augmentation import RandomCropAndFlip
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from tests.applications.models import resnet18_oracle
from tests.support import BACKEND
from tests.support import to_numpy

PLAIN = dict(bottleneck="none", bottleneck_units=None)
# No stage may have 4 channels before one of 8: on some processors the gradient of its shortcut
# (1x1, stride 2, channels last) corrupts memory in the oneDNN of torch 2.13.
SMALL = dict(input_shape=(8, 8, 3), num_classes=3, width=8, bottleneck_units=8)


@pytest.fixture
def _shallow(monkeypatch):
    """Two stages of one block, where the whole network would only take longer to compile."""
    monkeypatch.setattr(resnet18, "_STAGES", 2)
    monkeypatch.setattr(resnet18, "_BLOCKS_IN_A_STAGE", 1)


def trainable_parameters(model):
    return sum(math.prod(w.shape) for w in model.trainable_weights)


def layer_names(model):
    return [layer.name for layer in model.layers]


def randomize(model):
    """Give all weights values that no initializer gives, so that none can stay unseen."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = weights
            weights = [
                rng.uniform(0.5, 1.5, gamma.shape),
                rng.normal(size=beta.shape),
                rng.normal(size=mean.shape),
                rng.uniform(0.5, 2.0, variance.shape),
            ]
        elif weights:
            weights = [w + 0.01 * rng.normal(size=w.shape) for w in weights]
        layer.set_weights(weights)


def outputs_of(model, name, x):
    return keras.Model(model.input, model.get_layer(name).output).predict(x, verbose=0)


def assert_close(computed, expected):
    np.testing.assert_allclose(computed, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


# Networks of full width are made once: each new shape of a kernel takes JAX a while.


@pytest.fixture(scope="module")
def torchvision_network():
    return resnet18.build((224, 224, 3), 1000, "imagenet", **PLAIN)


@pytest.fixture(scope="module")
def paper_network():
    return resnet18.build(rate=math.log(10))


def test_torchvision_s_number_of_parameters(torchvision_network):
    model = torchvision_network
    assert trainable_parameters(model) == 11_689_512
    assert model.get_layer("stage_1_block_1_a_relu").output.shape == (None, 56, 56, 64)
    assert model.get_layer("stage_4_block_2_relu").output.shape == (None, 7, 7, 512)
    # Convolutions begin with He's variance, of the fan-out.
    for name, fan_out in (("stage_4_block_2_b", 9 * 512), ("stage_4_block_1_shortcut", 512)):
        kernel = to_numpy(model.get_layer(f"{name}_convolution").kernel)
        assert kernel.std() == pytest.approx(math.sqrt(2 / fan_out), rel=0.02)
        # Not truncated, where 2.5 standard deviations would be the end or near it.
        assert np.abs(kernel).max() > 4 * kernel.std()


def test_the_paper_s_network(paper_network):
    """Torchvision's, but for a smaller first kernel, the amplitude and the ten classes."""
    model = paper_network
    without_ends = 11_689_512 - 7 * 7 * 3 * 64 - 513 * 1000
    ends = 3 * 3 * 3 * 64 + (512 + 1) * 512 + (256 + 1) * 10
    assert trainable_parameters(model) == without_ends + ends
    assert isinstance(model.get_layer("bottleneck"), FixedRateVIB)
    assert model.get_layer("bottleneck").output.shape == (None, 256)
    assert model.get_layer("amplitude").activation is keras.activations.linear
    assert model.get_layer("stage_1_block_1_a_relu").output.shape == (None, 32, 32, 64)
    assert model.get_layer("stage_4_block_2_relu").output.shape == (None, 4, 4, 512)


def test_the_paper_s_network_against_numpy(paper_network):
    randomize(paper_network)
    x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype("float32")
    after_stem = resnet18_oracle.stem(paper_network, x, "cifar")
    expected = resnet18_oracle.pooled_features(paper_network, after_stem)
    assert expected.shape == (2, 512)
    assert_close(outputs_of(paper_network, "pooled", x), expected)


def test_the_imagenet_stem_against_numpy(torchvision_network):
    randomize(torchvision_network)
    x = np.random.default_rng(1).normal(size=(1, 224, 224, 3)).astype("float32")
    expected = resnet18_oracle.stem(torchvision_network, x, "imagenet")
    assert expected.shape == (1, 56, 56, 64)
    assert_close(outputs_of(torchvision_network, "stem_pool", x), expected)


@pytest.mark.skipif(BACKEND != "torch", reason="torch.nn comes with torch alone")
def test_a_step_of_training_against_torch():
    """Logits in training and at inference, all gradients, all moving statistics."""
    import torch

    from tests.applications.models import resnet18_torch

    model = resnet18.build((64, 64, 3), 5, "imagenet", width=8, **PLAIN)
    randomize(model)
    network = resnet18_torch.ResNet18(5, 8)
    modules = resnet18_torch.modules_by_layer(network)
    assert modules.keys() == {layer.name for layer in model.layers if layer.weights}
    for name, module in modules.items():
        for target, value in zip(_tensors(module), model.get_layer(name).get_weights()):
            target.data.copy_(torch.from_numpy(_torch_order(value)))
    x = np.random.default_rng(1).normal(size=(6, 64, 64, 3)).astype("float32")

    channels_first = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    for training in (False, True):
        logits = model(x, training=training)
        expected = network.train(training)(channels_first)
        np.testing.assert_allclose(logits.detach(), expected.detach(), rtol=1e-4, atol=1e-4)
    (logits**2).sum().backward()
    (expected**2).sum().backward()
    for name, module in modules.items():
        layer = model.get_layer(name)
        for variable, parameter in zip(layer.trainable_variables, module.parameters()):
            gradient = _torch_order(to_numpy(variable.value.grad))
            scale = float(parameter.grad.abs().max())
            np.testing.assert_allclose(gradient / scale, parameter.grad / scale, atol=2e-3)
        if isinstance(layer, keras.layers.BatchNormalization):
            # The batch's variance is the one of n, in torch's moving average of n - 1.
            *_, mean, variance = layer.get_weights()
            np.testing.assert_allclose(mean, module.running_mean, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(variance, module.running_var, rtol=0.05)


def _tensors(module):
    """Return a module's tensors in Keras' order: parameters, then moving statistics."""
    statistics = [module.running_mean, module.running_var] if hasattr(module, "running_var") else []
    return [*module.parameters(), *statistics]


def _torch_order(value):
    """Return a kernel with its output channels first."""
    order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim]
    return value.transpose(order).copy()


@pytest.mark.usefixtures("_shallow")
def test_a_compiled_epoch_and_a_saved_model(tmp_path):
    model = resnet18.build(**SMALL, augment=True, rate=2.0, seed=0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 8, 8, 3)).astype("float32"), rng.integers(0, 3, 10)
    before = model.get_weights()
    history = model.fit(x, y, batch_size=5, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = model.get_weights()
    # No bias that a normalization takes away again: everything learns.
    trainable = [w.path for w in model.trainable_weights]
    for weight, old, new in zip(model.weights, before, after):
        assert (old != new).any() or weight.path not in trainable, weight.path
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.get_layer("augmentation"), RandomCropAndFlip)
    for new, old in zip(loaded.get_weights(), after):
        np.testing.assert_array_equal(new, old)
    # Evaluation averages over draws, in a model without augmentation, of the same weights.
    averaging = resnet18.build(**SMALL, rate=2.0, inference="sample", num_samples=4)
    averaging.set_weights(model.get_weights())
    assert averaging.output.shape == (None, 3)
    assert averaging.get_layer("bottleneck").output.shape == (None, 4, 4)


@pytest.mark.usefixtures("_shallow")
def test_without_a_vib():
    base = resnet18.build(**SMALL, bottleneck="none")
    assert base.get_layer("features").activation is keras.activations.relu
    assert layer_names(base)[-3:] == ["pooled", "features", "logits"]
    dropout = resnet18.build(**SMALL, bottleneck="dropout", dropout=0.3)
    assert layer_names(dropout)[-3:] == ["features", "dropout", "logits"]
    assert dropout.get_layer("dropout").rate == 0.3
    assert trainable_parameters(base) == trainable_parameters(dropout)


@pytest.mark.usefixtures("_shallow")
def test_a_vib_of_the_pooled_features():
    options = {**SMALL, "bottleneck_units": None}
    model = resnet18.build(**options, bottleneck="beta_vib", kl_weight=0.1)
    assert isinstance(model.get_layer("bottleneck"), SlashedNormalSampling)
    assert model.get_layer("bottleneck").output.shape == (None, 8)
    assert layer_names(model)[-3:] == ["pooled", "bottleneck", "logits"]


@pytest.mark.usefixtures("_shallow")
def test_relu_amplitude():
    model = resnet18.build(**SMALL, rate=1.0, relu_amplitude=True)
    assert model.get_layer("amplitude").activation is keras.activations.relu


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(stem="mnist"), "'mnist'"),
        (dict(width=0), "`width`.*width=0"),
        (dict(bottleneck="ib"), "'ib'"),
        (dict(bottleneck="none", rate=1.0), "require bottleneck"),
        (dict(bottleneck="dropout", num_samples=12), "num_samples=12"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        resnet18.build(**{**SMALL, **options})
