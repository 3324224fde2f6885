"""The initial values of linear layers: PyTorch's, where they are asked for."""

import keras
import numpy as np
import pytest
from scipy import stats

from applications.models import mlp
from applications.models import resnet18
from applications.models.linear import linear
from tests.support import BACKEND

LAYERS = {"hidden_1": 784, "hidden_2": 1024, "amplitude": 1024, "logits": 256}  # their fan-in


def weights_of(build, name, seed=0, **options):
    keras.utils.set_random_seed(seed)
    return build(rate=1.0, **options).get_layer(name).get_weights()


def build_dense(fan_in, units, seed, initializer):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((fan_in,))
    return keras.Model(inputs, linear(inputs, units, initializer)).get_weights()


@pytest.mark.parametrize(("name", "fan_in"), LAYERS.items())
def test_the_mlp_s_layers_begin_as_pytorch_s(name, fan_in):
    bound = 1.0 / np.sqrt(fan_in)
    kernel, bias = weights_of(mlp.build, name, initializer="torch")
    assert kernel.shape[0] == fan_in
    for values in (kernel, bias):
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        # The largest of 10 biases is above one half, except for one time in 1024.
        assert np.abs(values).max() >= bound * (0.5 if values.size < 100 else 0.97)
        assert stats.kstest(values.ravel(), "uniform", (-bound, 2 * bound)).pvalue > 1e-3
        assert values.mean() == pytest.approx(0.0, abs=5 * bound / np.sqrt(3 * values.size))
    # The variance of a square of a uniform number is 4 / 45.
    tolerance = 5 * np.sqrt(4 / 45 / kernel.size) * bound**2
    assert np.mean(kernel**2) == pytest.approx(bound**2 / 3, abs=tolerance)


@pytest.mark.parametrize("bottleneck", ["none", "dropout"])
def test_the_layers_of_a_model_without_a_vib(bottleneck):
    keras.utils.set_random_seed(0)
    model = mlp.build(bottleneck=bottleneck, initializer="torch")
    for name, fan_in in (("features", 1024), ("logits", 512)):
        for values in model.get_layer(name).get_weights():
            assert 0.5 / np.sqrt(fan_in) < np.abs(values).max() <= (1 + 1e-6) / np.sqrt(fan_in)


def test_of_resnet18_the_linear_layers_alone_change(monkeypatch):
    monkeypatch.setattr(resnet18, "_STAGES", 1)
    options = dict(input_shape=(8, 8, 3), width=16, bottleneck_units=32)
    for name, fan_in in (("amplitude", 16), ("logits", 16)):
        kernel, bias = weights_of(resnet18.build, name, **options, initializer="torch")
        assert kernel.shape[0] == fan_in
        assert np.abs(kernel).max() <= (1 + 1e-6) / 4
        assert 0.125 < np.abs(bias).max() <= (1 + 1e-6) / 4
    convolutions = [
        weights_of(resnet18.build, "stem_convolution", **options, initializer=name)[0]
        for name in ("keras", "torch")
    ]
    np.testing.assert_array_equal(*convolutions)


def test_by_default_layers_begin_as_keras_s():
    limit = np.sqrt(6 / (1024 + 1024))
    kernel, bias = weights_of(mlp.build, "hidden_2")
    assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
    assert not bias.any()


def test_seeds_decide_and_no_two_arrays_are_of_one_seed():
    one, again, other = (
        [w for name in LAYERS for w in weights_of(mlp.build, name, seed, initializer="torch")]
        for seed in (3, 3, 4)
    )
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.isclose(a, c).all()
    # With one seed, two arrays would start with the same numbers, up to their bounds.
    beginnings = [values.ravel()[:8] / np.abs(values).max() for values in one]
    for index, values in enumerate(beginnings):
        for later in beginnings[index + 1 :]:
            assert np.abs(values - later).max() > 0.1


@pytest.mark.skipif(BACKEND != "torch", reason="torch.nn.Linear is the model")
@pytest.mark.parametrize(("fan_in", "units"), [(784, 1024), (1024, 512), (256, 2000)])
def test_distributed_as_torch_s_own(fan_in, units):
    import torch

    kernel, bias = build_dense(fan_in, units, 5, "torch")
    torch.manual_seed(6)
    theirs = torch.nn.Linear(fan_in, units)
    for mine, other in ((kernel.T, theirs.weight), (bias, theirs.bias)):
        other = other.detach().numpy()
        assert mine.shape == other.shape
        assert stats.ks_2samp(mine.ravel(), other.ravel()).pvalue > 1e-3
        assert np.abs(mine).max() == pytest.approx(np.abs(other).max(), rel=0.03)


def test_an_unknown_initializer():
    with pytest.raises(ValueError, match=r"initializer.*'keras', 'torch'.*'jax'"):
        mlp.build(rate=1.0, initializer="jax")
