"""The pages of the site: their Python runs as printed, and their links lead somewhere."""

import re

import keras
import numpy as np
import pytest

import keras_slashed
from tests.docs.pages import PAGES
from tests.docs.pages import ROOT
from tests.docs.pages import blocks_of
from tests.docs.pages import links_of
from tests.docs.pages import run
from tests.support import BACKEND
from tests.support import to_numpy

CHECKS = {}
# Which backends run a page by day, because it has blocks for them; PyTorch runs the others.
RUN_ON = {
    "docs/guides/devices.md": ("tensorflow", "jax"),
    "docs/guides/export.md": ("tensorflow",),
    "docs/guides/training_loop.md": ("tensorflow", "jax", "torch"),
}


def checks(page):
    """Register a check of the names that the blocks of a page leave."""

    def register(check):
        CHECKS[page] = check
        return check

    return register


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Pages write files; and a distribution, once set, would stay."""
    monkeypatch.chdir(tmp_path)
    yield
    if BACKEND == "jax":
        keras.distribution.set_distribution(None)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.experiment(*RUN_ON.get(page, ("torch",))))
        for page in PAGES
        if "```python" in (ROOT / page).read_text()
    ],
)
def test_blocks_run(page, capsys):
    after = run(page)
    assert len(after) == len(blocks_of(page))
    if page in CHECKS:
        CHECKS[page](after, capsys.readouterr().out)


def test_each_check_has_its_page():
    assert set(CHECKS) <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    for link in links_of(page):
        target = (ROOT / page).parent / link
        assert target.is_file(), link


def test_every_page_is_in_a_list_of_pages():
    listed = set()
    for page in PAGES:
        folder = (ROOT / page).parent
        for entries in re.findall(r"```{toctree}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            names = [line for line in entries.splitlines() if line and not line.startswith(":")]
            listed |= {(folder / f"{name}.md").relative_to(ROOT).as_posix() for name in names}
    assert set(PAGES) - {"docs/index.md"} <= listed


def test_the_reference_lists_every_public_module():
    listed = re.findall(
        r"^   keras_slashed\.(\w+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(keras_slashed.__all__)


def test_each_wish_of_the_table_is_a_line_that_runs():
    names = {"keras": keras, "R": 2.0, "X": 0.1, "latent_dim": 4}
    public = (
        keras_slashed.layers,
        keras_slashed.rates,
        keras_slashed.callbacks,
        keras_slashed.coding,
    )
    for module in public:
        names |= {name: getattr(module, name) for name in module.__all__}
    names["amplitude"] = 0.3 * keras.random.normal((8, 2 * names["latent_dim"]), seed=0)
    names["rates"] = np.linspace(0.5, 4.0, 8).astype("float32")
    normalize = keras_slashed.layers.RateNormalization(names["R"], "instance")
    names["encoder"] = keras.Sequential([keras.Input((8,)), normalize])
    names["x"] = to_numpy(names["amplitude"])
    lines = re.findall(
        r"^\| [^|]* \| `([^`]*)`.* \|$",
        (ROOT / "docs/guides/which_tool.md").read_text(),
        re.MULTILINE,
    )
    assert len(lines) == 13
    for line in lines:
        before = dict(names)
        exec(line, names)
        if line.startswith("z = "):
            assert tuple(names["z"].shape) == (8, 4), line
        elif line.startswith("indices = "):
            assert names["indices"].shape == (8,)
        else:
            assert isinstance(names["callback"], keras.callbacks.Callback), line
        names = before


@checks("docs/getting_started.md")
def _(after, printed):
    bottleneck, vae, at_inference, images, by_hand, distribution = after
    history = bottleneck["history"].history
    assert history["bottleneck_rate"] == pytest.approx([np.log(4)] * 3, rel=1e-5)
    assert float(vae["vae"].get_layer("latent").kl_weight) == 0.5
    # 784 fair coins: log 2 nats each, to begin with
    assert vae["history"].history["loss"][0] == pytest.approx(784 * np.log(2), rel=0.1)
    amplitude = vae["encoder"].predict(vae["x"], verbose=0)
    assert np.mean(np.sum(amplitude**2, axis=-1)) > 0
    again = at_inference["vae"].predict(vae["x"], verbose=0)
    np.testing.assert_array_equal(again, at_inference["reconstructions"])  # no noise
    assert images["new_images"].shape == (16, 28, 28, 1)
    assert float(by_hand["mean"][0, 0]) == pytest.approx(0.8485, abs=5e-5)
    assert float(by_hand["stddev"][0, 0]) == pytest.approx(0.3387, abs=5e-5)
    kl = distribution["posterior"].kl_divergence()
    assert float(kl[0]) == pytest.approx(1.0, rel=1e-6)


@checks("docs/guides/normalization_and_rate.md")
def _(after, printed):
    rates = after[0]["rates"]
    for rate in rates.values():
        assert rate.mean() == pytest.approx(2.3, rel=1e-5)
    assert rates["instance"].std() < 1e-5 < 0.01 < rates["feature"].std()
    assert (float(after[1]["vib"].rate), float(after[1]["vib"].kl_weight)) == (4.0, 0.5)
    assert after[1]["vib"].inference == "sample"
    assert tuple(after[2]["z"].shape) == (3, 8)


@checks("docs/guides/training_loop.md")
def _(after, printed):
    loop = after[-1]
    assert len(loop["losses"]) == 20
    assert loop["losses"][-1] < loop["losses"][0] - 1.0
    # The loop also moved the mean square, without which the layer does not scale at inference.
    normalize = loop["vae"].get_layer("bottleneck").rate_normalization
    amplitude = loop["vae"].layers[1](loop["x"])
    rate = np.mean(to_numpy(keras_slashed.ops.rate(normalize(amplitude, training=True))))
    assert rate == pytest.approx(6.0, rel=1e-5)
    assert np.mean(to_numpy(keras_slashed.ops.rate(normalize(amplitude)))) < 9.0


@checks("docs/guides/calibrate.md")
def _(after, printed):
    (names,) = after
    (lagging,) = names["lagging"].history["val_bottleneck_rate"]
    (exact,) = names["exact"].history["val_bottleneck_rate"]
    assert lagging > 1.01 * 1.4  # how much depends on the first weights
    assert exact == pytest.approx(1.4, rel=1e-5)


@checks("docs/guides/learned_rates.md")
def _(after, printed):
    committed, grown, constrained = (names["history"].history for names in after)
    assert committed["latent_rate"][0] == pytest.approx(7.0, abs=0.1)
    assert committed["latent_kl_weight"][-1] == 1.0
    assert grown["latent_rate"] == pytest.approx([2.0, 3.5, 5.0, 6.5, 8.0], rel=1e-5)
    assert 1.0 > constrained["latent_kl_weight"][0] > constrained["latent_kl_weight"][1]


@checks("docs/guides/priors.md")
def _(after, printed):
    x = np.ones((8, 20), "float32")
    assert np.isfinite(after[0]["ladder"].train_on_batch(x, x))
    posterior = after[1]["posterior"]
    assert float(posterior.kl_divergence()[0]) == pytest.approx(1.0, rel=1e-6)
    assert tuple(posterior.covariance.shape) == (1, 2, 2)


@checks("docs/guides/coding.md")
def _(after, printed):
    names = after[-1]
    assert printed.splitlines()[-1] == "10 10.0"
    rates = keras_slashed.ops.rate(names["encoder"].predict(names["x"], verbose=0))
    np.testing.assert_allclose(to_numpy(rates), 3.0, rtol=1e-5)
    assert names["reconstruction"].shape == (512, 64)
    z = names["code"].decode(names["indices"], 4)
    np.testing.assert_array_equal(to_numpy(names["one"]), to_numpy(z[37]))


@checks("docs/guides/measures.md")
def _(after, printed):
    """The rate is above the information; weighing 100 draws, the NLL is below that of the ELBO."""
    (names,) = after
    encoder, x, metrics = names["encoder"], names["x"], names["metrics"]
    rate, units = printed.splitlines()[0].split()
    information = metrics.mutual_information(encoder, x)
    assert float(rate) > information.estimate - 3 * information.standard_error
    assert int(units) == 3
    bounds = [
        metrics.importance_weighted_nll(encoder, names["log_likelihood"], x, samples, seed=0)
        for samples in (1, 100)
    ]
    assert bounds[0].estimate > bounds[1].estimate


@checks("docs/guides/disentanglement.md")
def _(after, printed):
    (names,) = after
    assert 0.0 <= names["gap"].estimate <= 1.0
    assert names["gap"].information.shape == (5, 3)
    assert names["score"].estimate > 1 / 3  # a guess
    assert names["dci"].informativeness > 0.4
    assert 0.0 < names["dci"].standard_errors.max() < 0.2


@checks("docs/guides/attribution.md")
def _(after, printed):
    result = after[0]["result"]
    nats = result.nats.mean(axis=0)
    assert nats[0] > 0.5 * nats.sum()
    assert result.rate.mean() > 0.01
    assert result.residual.mean() < 0.2


@checks("docs/guides/diagnosis.md")
def _(after, printed):
    diagnosis = after[0]["diagnosis"]
    assert diagnosis.collapsed.sum() == 2
    assert diagnosis.holds.all()
    assert "2 of 5 latent dimensions are collapsed" in printed


@checks("docs/guides/export.md")
def _(after, printed):
    names = after[0]
    trained, regressor = names["trained"], names["regressor"]
    assert len(regressor.trainable_weights) == 2
    # Training what is behind it has left the frozen bottleneck as it was saved.
    saved = keras.models.load_model("classifier.keras", compile=False)
    for one, other in zip(trained.weights, saved.weights, strict=True):
        if "mean_rates" not in one.path:  # what RateMonitor reads
            np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    assert names["encoder"].predict(names["x"], verbose=0).shape == (256, 8)
    if BACKEND == "tensorflow":
        outputs = trained.predict(names["x"], verbose=0)
        np.testing.assert_allclose(to_numpy(after[2]["outputs"]), outputs, atol=1e-5)


@checks("docs/guides/migrate.md")
def _(after, printed):
    """A head of means and log-variances keeps its KL."""
    names = after[-1]
    head = keras.Model(names["inputs"], [names["mean"], names["log_variance"]])
    encoder = keras.Model(names["inputs"], names["amplitude"])
    x = np.random.default_rng(0).normal(size=(5, 20)).astype("float32")
    mean, log_variance = (to_numpy(part) for part in head(x))
    kl = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=-1)
    np.testing.assert_allclose(np.sum(to_numpy(encoder(x)) ** 2, axis=-1), kl, rtol=1e-4)


@checks("docs/guides/precision.md")
def _(after, printed):
    assert "bfloat16" in printed
    assert after[-1]["config"].is_kernel_compilation_enabled()
