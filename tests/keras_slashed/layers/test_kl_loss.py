"""The KL in the loss, with free bits, against NumPy; the plain one is in the layer's tests."""

import keras
import numpy as np
import pytest
from keras.src.backend import set_keras_mask

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.layers.kl_loss import kl_loss
from keras_slashed.layers.kl_loss import kl_loss_with_free_bits
from keras_slashed.ops import rate
from keras_slashed.ops.floats import widen_amplitude
from keras_slashed.ops.mean_square import unmasked
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


def free_bits_loss(amplitude, free_bits, mask=None):
    """Return the loss as the layer computes it."""
    psi = unmasked(widen_amplitude(keras.ops.convert_to_tensor(amplitude)), mask)
    return kl_loss_with_free_bits(psi, free_bits, mask)


def expected_loss(amplitude, free_bits, mask=None):
    """Return the loss, one latent dimension after the other."""
    latents = amplitude.shape[-1] // 2
    kept = np.ones(amplitude.shape[:-1], bool) if mask is None else mask
    total = 0.0
    for k in range(latents):
        rates = amplitude[..., k][kept] ** 2 + amplitude[..., latents + k][kept] ** 2
        total += max(free_bits, rates.mean()) if kept.any() else 0.0
    rows = kept.reshape(len(kept), -1).any(axis=1).sum()
    return total * kept.sum() / max(rows, 1)


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
            loss = free_bits_loss(x, free_bits, mask)
            assert keras.backend.standardize_dtype(loss.dtype) == "float32"
            expected = expected_loss(exact, free_bits, mask)
            np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-6)


def test_mask_weighs_as_in_a_loss_of_keras():
    """Of one position a row: Keras divides its masked losses by the rows that count as well."""
    values = np.random.default_rng(0).uniform(1.0, 3.0, 64).astype("float32")
    mask = np.arange(64) % 4 == 0
    y_pred = keras.ops.convert_to_tensor(values[:, None])
    set_keras_mask(y_pred, keras.ops.convert_to_tensor(mask))
    keras_loss = keras.losses.MeanAbsoluteError()(np.zeros((64, 1), "float32"), y_pred)
    np.testing.assert_allclose(to_numpy(keras_loss), values[mask].mean(), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(kl_loss(tensor(values, "float32"), mask)), keras_loss)


def test_rows_of_nothing_do_not_count():
    """Of a sequence each row weighs 1, however many of its positions count; else nothing."""
    rates = np.random.default_rng(0).uniform(1.0, 3.0, (4, 3)).astype("float32")
    mask = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1]], "bool")
    for kept, rows in ((mask, 3), (mask & ~mask, 1), (mask | True, 4)):
        loss = to_numpy(kl_loss(tensor(rates, "float32"), kept))
        np.testing.assert_allclose(loss, rates[kept].sum() / rows, rtol=1e-6)


@pytest.mark.parametrize("free_bits", [0.0, FREE_BITS])
@pytest.mark.parametrize("shape", [(0, 8), (0, 3, 8)])
@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_of_no_rows_has_no_loss(shape, masked, free_bits):
    def loss(x):
        layer = SlashedNormalSampling(free_bits=free_bits)
        layer(x, mask=np.zeros(shape[:-1], "bool") if masked else None, training=True)
        return layer.losses[0]

    x = np.zeros(shape, "float32")
    assert to_numpy(loss(x)) == 0.0
    assert to_numpy(gradient(loss, x)).shape == shape


@pytest.mark.parametrize("free_bits", [0.0, FREE_BITS])
@pytest.mark.parametrize("kept", ["some", "none"])
def test_what_is_masked_is_not_seen(kept, free_bits):
    """It may be NaN or infinite, and has neither a loss nor a gradient."""
    mask = masks((6, 3, 8))[1] & (kept == "some")

    def loss(x):
        layer = SlashedNormalSampling(free_bits=free_bits)
        layer(x, mask=mask, training=True)
        return layer.losses[0]

    x = amplitudes((6, 3, 8)).astype("float32")
    expected, slope = to_numpy(loss(x)), to_numpy(gradient(loss, x))
    np.testing.assert_array_equal(slope[~mask], 0.0)
    x[~mask] = np.where(np.arange(8) % 2, np.nan, np.inf)
    np.testing.assert_array_equal(to_numpy(loss(x)), expected)
    np.testing.assert_array_equal(to_numpy(gradient(loss, x)), slope)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", [0, 1, 2])
def test_none_free_is_the_rate(shape, case):
    x, mask = tensor(amplitudes(shape), "float32"), masks(shape)[case]
    np.testing.assert_allclose(
        to_numpy(free_bits_loss(x, 0.0, mask)),
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
    slope = to_numpy(gradient(lambda x: free_bits_loss(x, FREE_BITS, mask), x))
    np.testing.assert_allclose(slope, 2 * x / 6 * above * kept[..., None], rtol=1e-5)


def test_not_a_number_is_not_hidden():
    x = amplitudes((6, 8)).astype("float32")
    x[0, 0] = np.nan
    assert np.isnan(to_numpy(free_bits_loss(x, FREE_BITS)))


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
