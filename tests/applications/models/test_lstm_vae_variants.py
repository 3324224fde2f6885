import keras
import numpy as np
import pytest

from applications.models import lstm_vae
from applications.table2.variants import TABLE2
from applications.table2.variants import VARIANTS
from keras_slashed.callbacks import CyclicalAnnealing
from keras_slashed.callbacks import KLWarmup
from keras_slashed.layers import RateNormalization
from tests.applications.models.test_lstm_vae import TINY
from tests.applications.models.test_lstm_vae import VOCABULARY_SIZE
from tests.support import to_numpy

ONE_LAYER = {**TINY, "num_layers": 1}
ROWS = np.array([[2, 4, 5, 6, 3], [2, 7, 3, 0, 0], [2, 5, 4, 3, 0], [2, 6, 6, 6, 3]], "int32")
# The first rate of a step, in nats: committed rates start 1 above their minimum.
RATES = {f"{normalization}{part}": 7.0 for normalization in ("batch", "instance", "feature")
         for part in ("", "_mean")}  # fmt: skip
RATES |= {f"decoupled_{nats}": float(nats) for nats in (2, 8, 20, 40, 80)}


def test_the_rows_are_the_paper_s():
    assert list(VARIANTS) == list(TABLE2)
    assert len(TABLE2) == 17
    titles = [variant.title for variant in VARIANTS.values()]
    assert titles[5] == "Batch δ₀ = 6"
    assert titles[8] == "Feature Mean only δ₀ = 6"
    assert len(set(titles)) == 17
    # the table's own order of things: KL is at least the mutual information
    assert all(kl >= mi for _, kl, _, mi in list(TABLE2.values())[1:])
    assert TABLE2["skip"][0] == min(nll for nll, *_ in TABLE2.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variable_has_a_path_of_its_own(name):
    """On PyTorch Keras zeroes one gradient for each path, and adds up the others."""
    options = {**TINY, "skip": True, **VARIANTS[name].build_options()}
    paths = [
        variable.path for variable in lstm_vae.build(VOCABULARY_SIZE, **options).training.variables
    ]
    assert len(set(paths)) == len(paths)


# Of "vae" are "warmup" and "cyclic", and of "decoupled_20" the other four: one model, with
# another callback or another number.
LIKE_OTHERS = {"warmup", "cyclic", "decoupled_2", "decoupled_8", "decoupled_40", "decoupled_80"}


@pytest.mark.parametrize("name", sorted(LIKE_OTHERS))
def test_build(name):
    model = lstm_vae.build(VOCABULARY_SIZE, **{**ONE_LAYER, **VARIANTS[name].build_options()})
    other = "decoupled_20" if name.startswith("decoupled") else "vae"
    like = lstm_vae.build(VOCABULARY_SIZE, **{**ONE_LAYER, **VARIANTS[other].build_options()})
    shapes = [[(w.name, w.shape) for w in m.training.weights] for m in (model, like)]
    assert shapes[0] == shapes[1]
    if name in RATES:
        (rate,) = (w for w in model.training.trainable_weights if w.shape == ())
        assert float(to_numpy(rate)) == RATES[name]


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in LIKE_OTHERS])
def test_build_and_a_training_step(name):
    """The model is not compiled, which would take longer on JAX. `test_lstm_vae` compiles one."""
    model = lstm_vae.build(VOCABULARY_SIZE, **{**ONE_LAYER, **VARIANTS[name].build_options()})
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = [to_numpy(w).copy() for w in model.training.trainable_weights]
    zeros, weights = np.zeros(4, "float32"), np.ones(4, "float32")
    logs = model.training.train_on_batch(ROWS, zeros, weights, return_dict=True)
    # untrained: about log 9 for each of 13 tokens in four documents, ends included; more
    # where so few units add what comes of z
    by_chance = 13 / 4 * np.log(VOCABULARY_SIZE)
    assert 0.7 * by_chance < logs["reconstruction"] < (3.0 if name == "skip" else 1.3) * by_chance
    kl = logs["loss"] - logs["reconstruction"]
    if name in RATES:
        assert kl == pytest.approx(RATES[name], rel=0.05 if name.endswith("_mean") else 1e-4)
    elif name == "lstm":
        assert kl == pytest.approx(0.0, abs=1e-5)
    else:
        assert 0 < kl < 6
    moved = [np.any(to_numpy(w) != b) for w, b in zip(model.training.trainable_weights, before)]
    assert all(moved)


def test_what_tells_the_rows_apart():
    options = {name: VARIANTS[name].build_options() for name in RATES}
    parts = {name: option.get("part", "both") for name, option in options.items()}
    assert all((part == "mean") == name.endswith("_mean") for name, part in parts.items())
    for name, option in options.items():
        assert option["normalization"] == (
            name.split("_")[0] if "decoupled" not in name else "batch"
        )
    assert options["batch"]["rate"].minimum == 6.0
    assert options["decoupled_80"]["rate"].initial == 80.0
    model = lstm_vae.build(9, **{**ONE_LAYER, **options["feature_mean"]})
    (layer,) = (x for x in model.encoder.layers if isinstance(x, RateNormalization))
    assert (layer.normalization, layer.part, layer.rate.minimum) == ("feature", "mean", 6.0)
    # a rate layer of its own in each
    assert (
        VARIANTS["batch"].build_options()["rate"] is not VARIANTS["batch"].build_options()["rate"]
    )


def test_annealing():
    assert [name for name, variant in VARIANTS.items() if variant.callbacks(100)] == [
        "warmup",
        "cyclic",
    ]
    (warmup,) = VARIANTS["warmup"].callbacks(250)
    assert isinstance(warmup, KLWarmup)
    assert warmup.steps == 25
    assert VARIANTS["warmup"].callbacks(250, warmup=0.5)[0].steps == 125
    (cyclic,) = VARIANTS["cyclic"].callbacks(250)
    assert isinstance(cyclic, CyclicalAnnealing)
    assert (cyclic.steps, cyclic.cycles, cyclic.ratio) == (250, 4, 0.5)
