"""Invalid arguments raise a ValueError when a layer is made or built, and valid ones work."""

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.rates import CommittedRate
from keras_slashed.rates import FixedRate
from keras_slashed.rates import LearnableRate
from tests.keras_slashed.layers.cases import layer_cases
from tests.support import to_numpy

pytestmark = pytest.mark.scaled
NAN, INF = float("nan"), float("inf")
# Valid and invalid values of each argument.
NORMALIZING = {
    "normalization": (["batch", "instance", "feature"], ["layer", "", None, 1, ["batch"]]),
    "part": (["both", "mean"], ["stddev", None, ("both",)]),
    "momentum": ([0, 0.0, 0.5, np.float32(0.9)], [1, 1.0, -0.1, NAN, INF, "0.9", None, True]),
    "synchronized": ([True, False], [None, "yes", 2]),
}
SAMPLING = {
    "kl_weight": ([0, 1.0, np.float64(0.5)], [-1, NAN, INF, 1e39, "1", None, True]),
    "num_samples": ([None, 1, np.int64(3)], [0, -1, 1.5, True, "3"]),
    "inference": (["sample", "mean"], ["draw", None, True]),
    "seed": ([None, 0, 7, 2**31 - 1], ["x", 1.5, -1, 2**31, 2**70, True]),
    "free_bits": ([0, 0.5], [-0.1, NAN, INF, 1e39, "0", None]),
}
NATS = (
    [1, 0.5, np.float32(2.0), 1e-30, 1e30],
    [0, -1.0, 1e-50, NAN, INF, 1e39, "2", None, True, [1.0]],
)
ARGUMENTS = {
    RateNormalization: {"rate": NATS} | NORMALIZING,
    SlashedNormalSampling: SAMPLING,
    FixedRateVIB: {"rate": NATS} | NORMALIZING | SAMPLING,
    FixedRate: {"rate": NATS},
    CommittedRate: {"minimum": NATS, "initial": NATS},
    # A quotient beyond float32 is refused as well: see test_rates.py.
    LearnableRate: {"initial": NATS, "scale": ([0.5, 2, 100.0], NATS[1])},
}
RATES = (FixedRate, CommittedRate, LearnableRate)


@st.composite
def right_or_wrong_arguments(draw):
    """Draw a class, arguments, and the names of those that are wrong: none, or one or two."""
    layer_class = draw(st.sampled_from(list(ARGUMENTS)))
    choices = ARGUMENTS[layer_class]
    wrong = draw(st.lists(st.sampled_from(list(choices)), max_size=2, unique=True))
    arguments = {
        name: draw(st.sampled_from(choices[name][name in wrong])) for name in sorted(choices)
    }
    return layer_class, arguments, wrong


@given(right_or_wrong_arguments(), st.sampled_from([(6, 4), (2, 3, 6)]))
def test_arguments_work_or_are_refused_when_the_layer_is_made(drawn, shape):
    layer_class, arguments, wrong = drawn
    if wrong:
        with pytest.raises(ValueError, match="(?i)" + "|".join(wrong)):
            layer_class(**arguments)
        return
    layer = layer_class(**arguments)
    if layer_class in RATES:
        assert np.isfinite(to_numpy(layer()))
        return
    for training in (True, False):
        z = layer(ops.ones(shape), training=training)
        assert tuple(z.shape) == layer.compute_output_shape(shape)
        assert np.isfinite(to_numpy(z)).all()


@st.composite
def misfits(draw):
    """Draw a case and the inputs of its call, one of which has a wrong shape, and its name."""
    case = draw(layer_cases())
    *batch, width = case.shape
    size = width // 2
    wrong = {"amplitude": (*batch, width + 1), "mask": (*batch, 2)}
    if case.layer_class is SlashedNormalSampling:
        wrong |= {
            "prior_mean": (*batch, size + 1),
            "prior_stddev": (7, *case.shape[:-1], size),
            "prior_scale": (size, size + 1),
            "rotation": (size + 1, size),
        }
    else:
        wrong["rate"] = (*batch, 2)
    name = draw(st.sampled_from(sorted(wrong)))
    # Keras shows no symbolic mask to a layer whose output shape it knows.
    symbolic = name != "mask" and draw(st.booleans())
    return case, name, wrong[name], symbolic


@given(misfits(), st.booleans())
def test_shapes_that_do_not_fit_are_refused(misfit, training):
    """Test symbolic and eager calls, the first and a later one."""
    case, name, shape, symbolic = misfit
    layer = dataclasses.replace(case, dtype="float32").make()
    right = ops.ones(case.shape)
    if symbolic:
        inputs = {"amplitude": keras.Input(case.shape[1:], batch_size=case.shape[0])}
        inputs[name] = keras.Input(batch_shape=shape)
    else:
        inputs = {"amplitude": right}
        inputs[name] = ops.ones(shape, "bool" if name == "mask" else None)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"(?i){name}|incompatible with the layer"):
            layer(**inputs, training=training)
        layer(right)
