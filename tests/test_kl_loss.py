"""The KL in the loss, with free bits, against NumPy; the plain one is in the layer's tests."""

import keras
import numpy as np
import pytest

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.layers.kl_loss import kl_loss
from keras_slashed.layers.kl_loss import kl_loss_with_free_bits
from keras_slashed.ops import rate
from tests.support import FLOAT_DTYPES
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy
from tests.support import total_loss

SHAPES = [(6, 8), (6, 3, 8), (6, 2, 3, 8)]
FREE_BITS = 1.3


def amplitudes(shape, seed=0):
    """Return amplitudes of which some dimensions lie above FREE_BITS and some below."""
    scale = np.tile([0.1, 2.0, 0.5, 1.0], 2)
    return np.random.default_rng(seed).normal(size=shape) * scale


def expected_loss(amplitude, free_bits, mask=None):
    """Return the loss, one latent dimension after the other."""
    latents = amplitude.shape[-1] // 2
    kept = np.ones(amplitude.shape[:-1], bool) if mask is None else mask
    total = 0.0
    for k in range(latents):
        rates = amplitude[..., k][kept] ** 2 + amplitude[..., latents + k][kept] ** 2
        total += max(free_bits, rates.mean()) if kept.any() else 0.0
    return total * kept.sum() / len(amplitude)


def masks(shape):
    leading = shape[:-1]
    some = np.arange(np.prod(leading)).reshape(leading) % 3 > 0
    return [None, some, np.zeros(leading, bool)]


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", [0, 1, 2])
def test_free_bits(shape, case, dtype):
    mask = masks(shape)[case]
    with dtype_enabled(dtype):
        x = tensor(amplitudes(shape), dtype)
        exact = to_numpy(x).astype("float64")
        for free_bits in (1e-30, FREE_BITS, 100.0):
            loss = kl_loss_with_free_bits(x, free_bits, mask)
            assert keras.backend.standardize_dtype(loss.dtype) == "float32"
            expected = expected_loss(exact, free_bits, mask)
            np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", [0, 1, 2])
def test_none_free_is_the_rate(shape, case):
    x, mask = tensor(amplitudes(shape), "float32"), masks(shape)[case]
    np.testing.assert_allclose(
        to_numpy(kl_loss_with_free_bits(x, 0.0, mask)),
        to_numpy(kl_loss(rate(x), mask)),
        rtol=1e-6,
    )


@pytest.mark.parametrize("case", [0, 1])
def test_gradient_is_that_of_the_dimensions_above(case):
    shape = (6, 3, 8)
    x, mask = amplitudes(shape).astype("float32"), masks(shape)[case]
    kept = np.ones(shape[:-1], bool) if mask is None else mask
    rates = (x[..., :4] ** 2 + x[..., 4:] ** 2)[kept].mean(axis=0)
    above = np.tile(rates > FREE_BITS, 2)
    assert above.any()
    assert not above.all()
    slope = to_numpy(gradient(lambda x: kl_loss_with_free_bits(x, FREE_BITS, mask), x))
    np.testing.assert_allclose(slope, 2 * x / 6 * above * kept[..., None], rtol=1e-5)


def test_not_a_number_is_not_hidden():
    x = amplitudes((6, 8)).astype("float32")
    x[0, 0] = np.nan
    assert np.isnan(to_numpy(kl_loss_with_free_bits(x, FREE_BITS)))


@pytest.mark.parametrize(
    "make",
    [
        lambda **arguments: SlashedNormalSampling(**arguments),
        lambda **arguments: FixedRateVIB(9.0, "feature", **arguments),
    ],
)
def test_layers(make):
    """The layer's amplitude is what counts: here normalized to 9 nats, 2.25 a dimension."""
    x = amplitudes((6, 8)).astype("float32")
    layer = make(kl_weight=0.5, free_bits=FREE_BITS)
    layer(x, training=True)
    if isinstance(layer, FixedRateVIB):
        assert layer.get_config()["free_bits"] == FREE_BITS
        expected = 9.0
    else:
        expected = expected_loss(x.astype("float64"), FREE_BITS)
    np.testing.assert_allclose(total_loss(layer), 0.5 * expected, rtol=1e-5)
    restored = type(layer).from_config(layer.get_config())
    restored(x, training=True)
    np.testing.assert_allclose(total_loss(restored), 0.5 * expected, rtol=1e-5)


def test_training_stops_at_the_free_bits():
    """With nothing else in the loss every dimension sinks to its free rate, and no lower."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8, kernel_initializer="identity", use_bias=False),
            SlashedNormalSampling(free_bits=0.25, name="latent"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.02))
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    model.fit(x, batch_size=64, epochs=150, verbose=0)
    y = to_numpy(model.layers[0](x))
    rates = np.mean(y[:, :4] ** 2 + y[:, 4:] ** 2, axis=0)
    assert np.all(rates < 0.2501)
    assert np.all(rates > 0.2)  # the last step below


@pytest.mark.parametrize("free_bits", [-0.1, float("nan"), float("inf"), "1", None])
def test_free_bits_is_not_negative(free_bits):
    for layer_class, arguments in ((SlashedNormalSampling, ()), (FixedRateVIB, (2.0,))):
        with pytest.raises(ValueError, match=r"`free_bits` must be a finite number, 0 or more"):
            layer_class(*arguments, free_bits=free_bits)
