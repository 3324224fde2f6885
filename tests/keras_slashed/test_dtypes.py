"""Dtypes of tensors, layers and Keras' `floatx` that differ, and complex tensors."""

import keras
import numpy as np
import pytest

from keras_slashed import distributions
from keras_slashed import layers
from keras_slashed import metrics
from keras_slashed import ops
from keras_slashed.coding import BlockCode
from tests.support import BACKEND
from tests.support import dtype_enabled
from tests.support import floatx
from tests.support import gradient
from tests.support import tensor
from tests.support import to_numpy

X = np.random.default_rng(0).normal(size=(8, 4))
RATES = np.linspace(0.5, 2.0, 8)
FUNCTIONS = {
    "stdplus": ops.stdplus,
    "stdplus_slope": lambda x: gradient(ops.stdplus, 1e4 * x),
    "log_stdplus": ops.log_stdplus,
    "stdplus_inverse": lambda x: ops.stdplus_inverse(keras.ops.abs(x)),
    "amplitude_to_normal": lambda x: keras.ops.stack(ops.amplitude_to_normal(x)),
    "normal_to_amplitude": lambda x: ops.normal_to_amplitude(x, keras.ops.abs(x)),
    "narrow_amplitude": ops.narrow_amplitude,
    "rate": ops.rate,
    "batch": lambda x: ops.normalize_rate(x, 2.0),
    "small": lambda x: ops.normalize_rate(x * 1e-13, 2.0),
    "feature": lambda x: ops.normalize_rate(x, 2.0, "feature", "mean"),
    "instance": lambda x: ops.normalize_rate(x, tensor(RATES, x.dtype), "instance"),
    "householder_rotation": lambda x: ops.householder_rotation(x[:4]),
    "apply_householder": lambda x: ops.apply_householder(x[:4], x),
    "log_prob": lambda x: distributions.SlashedNormal(x).log_prob(x[:, :2]),
    "entropy": lambda x: distributions.SlashedNormal(x, prior_stddev=0.0).entropy(),
    "singular": lambda x: distributions.MultivariateSlashedNormal(
        x, prior_scale=keras.ops.ones_like(x[:2, :2])
    ).log_prob(keras.ops.zeros_like(x[:, :2])),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_do_not_depend_on_floatx(name):
    """TensorFlow adds no tensors of two dtypes, and PyTorch rounds numbers to `floatx`."""
    for dtype in ("float32", "float16"):
        x = tensor(X, dtype)
        expected = FUNCTIONS[name](x)
        for other in ("float64", "float16"):
            with floatx(other):
                computed = FUNCTIONS[name](x)
            assert computed.dtype == expected.dtype
            np.testing.assert_allclose(to_numpy(computed), to_numpy(expected), rtol=1e-6)


def fitted(layer, dtype):
    """Return the first loss of a model in float32 or lower, all of whose weights are fixed."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, kernel_initializer="identity", dtype=dtype),
            layer(dtype),
            keras.layers.Dense(2, kernel_initializer="zeros", dtype=dtype),
        ]
    )
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    history = model.fit(X, np.zeros((8, 2)), batch_size=8, epochs=2, verbose=0).history
    kernel = to_numpy(model.layers[0].kernel)
    return float(history["loss"][0]), np.abs(kernel - np.eye(4)).max()


@pytest.mark.parametrize("name", ["SlashedNormalSampling", "free_bits", "FixedRateVIB"])
@pytest.mark.parametrize("own", ["floatx", "float32", "mixed_float16"])
@pytest.mark.every_case
def test_layers_train_under_any_floatx(name, own):
    """The loss is the weighted KL, and has a gradient, whatever the dtype of Keras' loss."""
    make = {
        "SlashedNormalSampling": lambda dtype: layers.SlashedNormalSampling(0.3, dtype=dtype),
        "free_bits": lambda dtype: layers.SlashedNormalSampling(0.3, free_bits=1.0, dtype=dtype),
        "FixedRateVIB": lambda dtype: layers.FixedRateVIB(5.0, kl_weight=0.3, dtype=dtype),
    }[name]
    squares = X**2
    expected = {
        "SlashedNormalSampling": 0.3 * squares.sum(axis=1).mean(),
        "free_bits": 0.3 * np.maximum(1.0, (squares[:, :2] + squares[:, 2:]).mean(axis=0)).sum(),
        "FixedRateVIB": 1.5,
    }[name]
    # Keras' own layers do not mix float32 with a lower `floatx`.
    for dtype in ("float64", "float16", "bfloat16") if own == "floatx" else ("float64",):
        with floatx(dtype):
            loss, change = fitted(make, dtype if own == "floatx" else own)
        tolerance = {"bfloat16": 2e-2, "float64": 1e-2}.get(dtype, 3e-3)
        np.testing.assert_allclose(loss, expected, rtol=tolerance)
        assert change > 0.0 or name == "FixedRateVIB"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="other backends add a float32 loss")
def test_loss_beyond_float16():
    """A small weight applies before the loss is rounded and clipped."""
    with floatx("float16"):
        for weight, expected in ((1e-6, 1.0), (1.0, 65504.0)):
            layer = layers.SlashedNormalSampling(weight, dtype="float32")
            layer(np.full((2, 4), 500.0, "float32"), training=True)
            (loss,) = layer.losses
            assert keras.backend.standardize_dtype(loss.dtype) == "float16"
            np.testing.assert_allclose(float(loss), expected, rtol=1e-3)


def test_mutual_information_under_float64():
    with floatx("float64"):
        metric = metrics.MutualInformation(capacity=8, seed=0)
        metric.update_state(100.0 * np.eye(4, 8))
        np.testing.assert_allclose(float(metric.result()), np.log(4), rtol=1e-5)


# --- Complex tensors

COMPLEX = X[:, :2] + 1j * X[:, 2:]
TAKE_COMPLEX = {
    **{name: FUNCTIONS[name] for name in ("stdplus", "log_stdplus", "rate", "narrow_amplitude")},
    "stdplus_inverse": ops.stdplus_inverse,
    "amplitude_to_normal": ops.amplitude_to_normal,
    "prior_mean": lambda x: ops.amplitude_to_normal(X, prior_mean=x),
    "mean": lambda x: ops.normal_to_amplitude(x, 1.0),
    "stddev": lambda x: ops.normal_to_amplitude(X, x),
    "normalize_rate": lambda x: ops.normalize_rate(x, 1.0),
    "rates": lambda x: ops.normalize_rate(X, x[:, 0]),
    "householder_rotation": ops.householder_rotation,
    "apply_householder": lambda x: ops.apply_householder(np.eye(2), x),
    "SlashedNormal": distributions.SlashedNormal,
    "MultivariateSlashedNormal": distributions.MultivariateSlashedNormal,
    "log_prob": lambda x: distributions.SlashedNormal(X).log_prob(x),
    "RateNormalization": lambda x: layers.RateNormalization(1.0)(x),
    "SlashedNormalSampling": lambda x: layers.SlashedNormalSampling()(x),
    "FixedRateVIB": lambda x: layers.FixedRateVIB(1.0)(x),
    "prior of a layer": lambda x: layers.SlashedNormalSampling()(X, prior_mean=x),
    "Rate": lambda x: metrics.Rate().update_state(x),
    "sample_weight": lambda x: metrics.Rate().update_state(X, x[:, 0]),
    "ImportanceWeightedNLL": lambda x: metrics.ImportanceWeightedNLL().update_state(x),
    "metrics.rate": lambda x: metrics.rate(lambda _: x, X),
    "BlockCode": lambda x: BlockCode(8).encode(x),
}


@pytest.mark.parametrize("name", TAKE_COMPLEX)
@pytest.mark.every_case
def test_complex_tensors_are_refused(name):
    """Keras would drop the imaginary part, with which an amplitude is written a + bi."""
    for x in (COMPLEX, keras.ops.convert_to_tensor(COMPLEX.astype("complex64"))):
        with pytest.raises(ValueError, match=r"real tensor.*Received: .* complex\d+ and shape"):
            TAKE_COMPLEX[name](x)


def test_other_complex_values():
    for x in ([[1.0 + 2.0j, 0.0]], 1j):
        with pytest.raises(ValueError, match=r"Expected a real tensor.*Received: .*j"):
            ops.stdplus(x)
    with pytest.raises(ValueError, match=r"dtype complex64 and shape \(None, 4\)"):
        layers.SlashedNormalSampling()(keras.Input((4,), dtype="complex64"))


def test_complex_tensors_can_be_converted():
    """As the error says."""
    x = keras.ops.convert_to_tensor(COMPLEX.astype("complex64"))
    amplitude = keras.ops.concatenate([keras.ops.real(x), keras.ops.imag(x)], axis=-1)
    np.testing.assert_allclose(to_numpy(ops.rate(amplitude)), np.sum(X**2, axis=1), rtol=1e-5)
    with dtype_enabled("float64"):
        np.testing.assert_allclose(to_numpy(ops.rate(X)), np.sum(X**2, axis=1), rtol=1e-12)


def test_integers_become_the_default_dtype():
    with floatx("float64"):
        assert keras.backend.standardize_dtype(ops.stdplus([1, 2]).dtype) == "float64"


@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")
@pytest.mark.parametrize(
    "value",
    ["a", ["a", "b"], np.array(["a"]), object(), None],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_refused(value):
    """Each backend has another error for it."""
    for function in (ops.stdplus, ops.stdplus_inverse, layers.SlashedNormalSampling().call):
        with pytest.raises(ValueError, match=r"nested lists of real numbers\. Received: "):
            function(value)
