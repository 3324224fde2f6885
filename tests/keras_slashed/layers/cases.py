"""Random cases for layers: configurations, shapes, dtypes, priors, masks, hostile numbers."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import RateNormalization
from keras_slashed.layers import SlashedNormalSampling
from keras_slashed.rates import CommittedRate
from keras_slashed.rates import FixedRate
from keras_slashed.rates import LearnableRate
from tests.property_profiles import PROFILE
from tests.support import FLOAT_DTYPES
from tests.support import tensor

# Few: JAX compiles each operation again for every shape.
SHAPES = [(1, 2), (6, 4), (2, 3, 6)]
if PROFILE == "nightly":
    SHAPES += [(3, 10), (2, 1, 3, 4), (5, 8), (4, 2, 2), (1, 4, 10), (2, 3, 2, 6)]
LARGEST = {"float64": 1e300, "float32": 3.4e38, "bfloat16": 3.38e38, "float16": 65504.0}
SUBNORMAL = {"float64": 1e-310, "float32": 1e-40, "bfloat16": 1e-40, "float16": 1e-6}
# Largest relative error of a set rate, from the rounding of the entries that carry it.
ROUNDING = {"float64": 1e-12, "float32": 2e-6, "bfloat16": 2.0**-7, "float16": 2.0**-10}
ROWS = ("normal", "zeros", "large", "1e30", "subnormal", "mixed")

NORMALIZING = {
    "normalization": st.sampled_from(["batch", "instance", "feature"]),
    "part": st.sampled_from(["both", "mean"]),
    "momentum": st.sampled_from([0.0, 0.5, 0.99]),
    "synchronized": st.booleans(),
}
SAMPLING = {
    "kl_weight": st.sampled_from([0.0, 0.5, 2.0]),
    "num_samples": st.sampled_from([None, 1, 3]),
    "inference": st.sampled_from(["sample", "mean"]),
    "free_bits": st.sampled_from([0.0, 0.0, 0.3]),
}
ARGUMENTS = {
    RateNormalization: NORMALIZING,
    SlashedNormalSampling: SAMPLING,
    FixedRateVIB: NORMALIZING | SAMPLING,
}


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """A layer, its dtype and the shape of its amplitude."""

    layer_class: type
    arguments: dict
    rate: tuple  # its class and arguments, or None
    dtype: str
    shape: tuple

    def make(self):
        """Return a new layer; its noise is the same each time."""
        rate = {}
        if self.rate is not None:
            rate_class, arguments = self.rate
            # A fixed rate is exact in float32, of which it is by default.
            policy = {} if rate_class is FixedRate else {"dtype": self.dtype}
            rate["rate"] = rate_class(**arguments, **policy)
        seed = {} if self.layer_class is RateNormalization else {"seed": 7}
        return self.layer_class(**rate, **seed, **self.arguments, dtype=self.dtype)

    @property
    def told(self):
        """The set rate of the layer in nats."""
        rate_class, arguments = self.rate
        if rate_class is CommittedRate:
            return arguments["minimum"] + arguments["initial"]
        return arguments["rate" if rate_class is FixedRate else "initial"]


# Up to what an untrained amplitude of zeros has a gradient in the range of float16.
numbers_of_nats = st.floats(2.0**-10, 50.0, width=32)
rates = st.one_of(
    st.tuples(st.just(FixedRate), st.fixed_dictionaries({"rate": numbers_of_nats})),
    st.tuples(
        st.just(CommittedRate),
        st.fixed_dictionaries({"minimum": numbers_of_nats, "initial": numbers_of_nats}),
    ),
    st.tuples(
        st.just(LearnableRate),
        st.fixed_dictionaries({"initial": numbers_of_nats, "scale": st.sampled_from([1.0, 100.0])}),
    ),
)


@st.composite
def layer_cases(draw, *layer_classes, **fixed):
    """Draw a `LayerCase` of one of the classes, with some arguments fixed."""
    layer_class = draw(st.sampled_from(layer_classes or tuple(ARGUMENTS)))
    given = {name: choice for name, choice in ARGUMENTS[layer_class].items() if name not in fixed}
    arguments = draw(st.fixed_dictionaries(given))
    arguments |= {name: value for name, value in fixed.items() if name in ARGUMENTS[layer_class]}
    rate = None if layer_class is SlashedNormalSampling else draw(rates)
    dtype = draw(st.sampled_from(FLOAT_DTYPES))
    return LayerCase(layer_class, arguments, rate, dtype, draw(st.sampled_from(SHAPES)))


@st.composite
def amplitudes(draw, case, rows=ROWS):
    """Draw finite numbers of an amplitude, each of its rows of some hostile kind."""
    count, width = int(np.prod(case.shape[:-1])), case.shape[-1]
    kinds = draw(st.lists(st.sampled_from(rows), min_size=count, max_size=count))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    normal = rng.normal(size=(count, width))
    signs = np.sign(normal)
    largest, subnormal = LARGEST[case.dtype], SUBNORMAL[case.dtype]
    scales = rng.choice([0.0, subnormal, 1e-3, 1.0, 1e3, largest], size=(count, width))
    by_kind = {
        "normal": normal,
        "zeros": np.zeros_like(normal),
        "large": signs * largest,
        "1e30": signs * min(1e30, largest),
        "subnormal": signs * subnormal,
        "mixed": signs * scales,
    }
    return np.stack([by_kind[kind][i] for i, kind in enumerate(kinds)]).reshape(case.shape)


@st.composite
def masks(draw, case):
    """Draw a mask of an amplitude's instances, all or none of them left out included."""
    size = int(np.prod(case.shape[:-1]))
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return np.array(mask).reshape(case.shape[:-1])


@st.composite
def call_inputs(draw, case, mask=True):
    """Draw the other arguments of the call: a mask, rates, a prior, a rotation."""
    inputs = {}
    if mask and draw(st.booleans()):
        inputs["mask"] = draw(masks(case))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, size = case.shape[:-1], case.shape[-1] // 2
    if case.layer_class is not SlashedNormalSampling:
        if draw(st.booleans()):
            inputs["rate"] = rng.choice([0.0, 0.1, 2.0, 50.0], size=batch)
        return inputs
    prior = draw(st.sampled_from(["none", "mean", "stddev", "scale", "singular", "wide", "tall"]))
    rows = {"wide": 1, "tall": size + 1}.get(prior, size)
    if prior in ("scale", "singular", "wide", "tall"):
        leading = draw(st.sampled_from([(), batch]))
        scale = rng.normal(size=(*leading, rows, size))
        if prior == "singular":
            scale[..., -1] = 0.0
        inputs["prior_scale"] = scale
    if prior == "stddev":
        inputs["prior_stddev"] = rng.choice([-1.0, 0.0, 0.5, 30.0], size=(*batch, size))
    if prior != "none":
        inputs["prior_mean"] = rng.normal(size=(rows,))
    if draw(st.booleans()):
        inputs["rotation"] = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return inputs


def call(layer, amplitude, training, **inputs):
    """Call a layer with an amplitude and drawn inputs, tensors or numbers."""
    for name, value in {"amplitude": amplitude, **inputs}.items():
        is_number = isinstance(value, np.ndarray) and name != "mask"
        inputs[name] = tensor(value, layer.compute_dtype) if is_number else value
    return layer(**inputs, training=training)
