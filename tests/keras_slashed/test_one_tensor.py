"""Several tensors where one is expected are refused, not stacked into one."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_slashed.attribution import amplitude_attribution
from keras_slashed.diagnostics import diagnose
from keras_slashed.distributions import MultivariateSlashedNormal
from keras_slashed.distributions import SlashedNormal
from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.metrics import ActiveUnits
from keras_slashed.metrics import ImportanceWeightedNLL
from keras_slashed.metrics import MutualInformation
from keras_slashed.metrics import Rate
from keras_slashed.metrics import active_units
from keras_slashed.metrics import importance_weighted_nll
from keras_slashed.metrics import mutual_information
from keras_slashed.metrics import rate
from keras_slashed.metrics import unit_variances
from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import normal_to_amplitude
from keras_slashed.ops import normalize_rate
from keras_slashed.ops import rate as rate_of
from tests.support import to_numpy

ROWS, SIZE = 5, 4
X = np.random.default_rng(0).normal(size=(ROWS, SIZE)).astype("float32")
CONVERSION = r"`keras_slashed.ops.normal_to_amplitude\(z_mean, keras.ops.exp\(z_log_var / 2\)\)`"
LAYERS = {
    "SlashedNormalSampling": SlashedNormalSampling,
    "FixedRateVIB": lambda: FixedRateVIB(2.0),
    "RateNormalization": lambda: RateNormalization(2.0),
}
STRUCTURES = {
    "list": lambda x: [x, x],
    "tuple": lambda x: (x, x),
    "dict": lambda x: {"mean": x, "log_variance": x},
    "list of one": lambda x: [x],
    "nested": lambda x: [x, [x]],
}


def encoder_of(structure=list):
    """Return a model with two outputs, a mean and the logarithm of a variance, of 4 each."""
    inputs = keras.Input((SIZE,))
    outputs = [keras.layers.Dense(SIZE, name=name)(inputs) for name in ("z_mean", "z_log_var")]
    return keras.Model(inputs, structure(outputs))


def log_likelihood(x, z):
    return ops.sum(x, axis=-1) - ops.sum(z * z, axis=-1)


MEASURES = {
    "rate": rate,
    "active_units": active_units,
    "unit_variances": unit_variances,
    "mutual_information": mutual_information,
    "importance_weighted_nll": lambda encoder, x: importance_weighted_nll(
        encoder, log_likelihood, x, 2
    ),
    "diagnose": lambda encoder, x: diagnose(encoder, log_likelihood, x, num_samples=4),
}


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, structure, later, symbolic):
    layer = LAYERS[name]()
    if later:
        layer(X)
    inputs = STRUCTURES[structure](keras.Input((SIZE,)) if symbolic else ops.convert_to_tensor(X))
    for arguments in ({}, {"training": True}):
        with pytest.raises(ValueError, match=f"(?s){CONVERSION}.*Received: amplitude=a .*shape"):
            layer(inputs, **arguments)
    with pytest.raises(ValueError, match=CONVERSION):
        layer(amplitude=inputs)
    assert layer(X).shape[0] == ROWS


def test_the_conversion_in_the_message():
    """A VAE's usual pair of outputs, through the layer: the loss is the KL's closed form."""
    inputs = keras.Input((SIZE,))
    z_mean, z_log_var = encoder_of()(inputs)
    amplitude = normal_to_amplitude(z_mean, ops.exp(z_log_var / 2))
    model = keras.Model(inputs, [SlashedNormalSampling()(amplitude), z_mean, z_log_var])
    _, mean, log_variance = (to_numpy(x).astype("float64") for x in model(X))
    expected = np.sum(mean**2 + np.exp(log_variance) - log_variance - 1.0, axis=1) / 2.0
    np.testing.assert_allclose(float(to_numpy(model.losses[0])), expected.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", MEASURES)
def test_encoders(name):
    """The message tells the outputs, and a choice that works."""
    encoder = encoder_of()
    outputs = r"a list of 2 \(0 'z_mean': shape \(\d+, 4\), 1 'z_log_var': shape \(\d+, 4\)\)"
    choice = r"keras.Model\(encoder.input, encoder.output\[0\]\)"
    with pytest.raises(ValueError, match=f"(?s){choice}.*{CONVERSION}.*Received: {outputs}"):
        MEASURES[name](encoder, X)
    chosen = keras.Model(encoder.input, encoder.output[0])
    found = MEASURES[name](chosen, X)
    if name == "rate":
        amplitude = X.astype("float64") @ to_numpy(encoder.get_layer("z_mean").kernel)
        np.testing.assert_allclose(found, np.sum(amplitude**2, axis=1).mean(), rtol=1e-5)


@pytest.mark.parametrize("name", MEASURES)
def test_encoders_of_other_structures(name):
    for encoder, choice in (
        (encoder_of(lambda outputs: {"m": outputs[0], "v": outputs[1]}), r"output\['m'\]\)"),
        (lambda x: (x, x), r"encoder\(\*inputs\)\[0\]"),
        (lambda x: [(SlashedNormal(x), x)], r"encoder\(\*inputs\)\[0\]\[0\]"),
        (lambda x: [x], r"encoder\(\*inputs\)\[0\]"),
    ):
        with pytest.raises(ValueError, match=f"(?s)`encoder` must return one tensor.*{choice}"):
            MEASURES[name](encoder, X)


def test_other_functions_of_the_user():
    """A decoder, a classifier or a loss with several outputs."""
    pair = lambda *inputs: [log_likelihood(*inputs)] * 2  # noqa: E731
    same = lambda x: x  # noqa: E731
    with pytest.raises(ValueError, match=r"`log_likelihood` must .*\(\*inputs\)\[0\].*a list of 2"):
        importance_weighted_nll(same, pair, X, 2)
    with pytest.raises(ValueError, match=r"`loss` must return one tensor.*a list of 2"):
        diagnose(same, pair, X, num_samples=4)
    classifier = encoder_of()
    with pytest.raises(ValueError, match=r"keras.Model\(model.input, model.output\[0\]\)"):
        amplitude_attribution(classifier, X, steps=1, num_samples=2)
    # A loss of one's own may take all outputs, but returns one.
    y = np.zeros(ROWS)
    loss = lambda y, outputs: ops.sum(outputs[0] + outputs[1], axis=-1)  # noqa: E731
    result = amplitude_attribution(classifier, X, y, steps=1, num_samples=2, loss=loss)
    assert result.nats.shape == X.shape
    with pytest.raises(ValueError, match=r"`loss` must return one tensor.*a list of 2"):
        amplitude_attribution(
            classifier, X, y, steps=1, num_samples=2, loss=lambda y, outputs: outputs
        )


@pytest.mark.parametrize("metric_class", [Rate, ActiveUnits, MutualInformation])
def test_metrics(metric_class):
    metric = metric_class()
    numbers = [[1.0, 0.0], [0.0, 2.0]]
    metric.update_state(numbers)  # one tensor
    before = [to_numpy(variable) for variable in metric.variables]
    rows = [ops.convert_to_tensor(row) for row in numbers]
    for several in (rows, tuple(rows), [np.array(row) for row in numbers], {"z": rows[0]}):
        with pytest.raises(ValueError, match=CONVERSION):
            metric.update_state(several)
    for variable, value in zip(metric.variables, before, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), value)


def test_log_weights():
    metric = ImportanceWeightedNLL()
    metric.update_state([[-2.0, -2.0], [-3.0, -3.0]])
    with pytest.raises(ValueError, match=r"`log_weights` must be one tensor.*a list of 2"):
        metric.update_state([X, X])


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(
    "function",
    [
        rate_of,
        amplitude_to_normal,
        lambda x: normalize_rate(x, 2.0),
        SlashedNormal,
        MultivariateSlashedNormal,
    ],
    ids=["rate", "amplitude_to_normal", "normalize_rate", "SlashedNormal", "Multivariate"],
)
def test_functions_of_an_amplitude(function, structure):
    function([[1.0, 0.0], [0.0, 2.0]])
    function([np.float32(1.0), ops.convert_to_tensor(2.0)])
    for x in (X, ops.convert_to_tensor(X), keras.Input((SIZE,))):
        with pytest.raises(ValueError, match=f"(?s)`amplitude` must be one tensor.*{CONVERSION}"):
            function(STRUCTURES[structure](x))


def test_normal_to_amplitude():
    pair = [ops.convert_to_tensor(X)] * 2
    with pytest.raises(ValueError, match=r"`mean` must be one tensor.*\(0: shape \(5, 4\)"):
        normal_to_amplitude(pair, 1.0)
    with pytest.raises(ValueError, match=r"`stddev` must be one tensor.*a tuple of 2"):
        normal_to_amplitude(X, tuple(pair))
