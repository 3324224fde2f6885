"""Pictures of maps: what they show, and what is refused."""

import sys

import keras
import numpy as np
import pytest

from keras_slashed.attribution import Attribution
from keras_slashed.attribution import plot_attribution
from keras_slashed.attribution import plot_tokens
from keras_slashed.plotting import make_figure
from tests.support import BACKEND
from tests.support import to_numpy

IMAGES = np.linspace(-1, 1, 3 * 64, dtype="float32").reshape(3, 8, 8)


def pictures(figure):
    return [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes if axes.images]


def test_the_map_is_red_where_the_nats_are(tmp_path):
    nats = np.zeros_like(IMAGES)
    nats[0, 2, 3] = 4.0
    figure = plot_attribution(IMAGES, nats, titles=["a", "b", "c"], path=tmp_path / "map.png")
    first, second, _ = pictures(figure)
    redness = first[..., 0] - first[..., 2]
    assert np.unravel_index(redness.argmax(), redness.shape) == (2, 3)
    assert np.sum(redness > 0.01) == 1
    assert np.all(second[..., 0] == second[..., 2])  # no nats: gray alone
    assert figure.axes[0].get_title() == "a\n4 nats\nmax 4"
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_channels_add_up_and_bits():
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 3))
    nats = np.full(images.shape, np.log(2.0))
    attribution = Attribution(None, nats, None, None, None, None)
    figure = plot_attribution(images, attribution, units="bits", columns=1)
    assert figure.axes[0].get_title() == "75 bits\nmax 3"
    assert len(figure.axes) == 2


def attribution_of(nats):
    return Attribution(None, nats, None, None, None, None)


def test_a_layer_is_resized_to_the_image():
    """Linear interpolation as in Keras, in which each map keeps its sum."""
    nats = np.random.default_rng(0).random((3, 4, 4, 5)).astype("float32")
    for shape in ((8, 8), (6, 2), (4, 4), (1, 1)):
        found = attribution_of(nats).resize(shape)
        expected = keras.ops.image.resize(nats.sum(-1)[..., None], shape, antialias=True)
        expected = to_numpy(expected)[..., 0]
        expected *= (nats.sum((1, 2, 3)) / expected.sum((1, 2)))[:, None, None]
        if BACKEND == "jax" or min(shape) >= 4:  # others ignore `antialias` or weigh otherwise
            np.testing.assert_allclose(found, expected, rtol=1e-4)
        np.testing.assert_allclose(found.sum((1, 2)), nats.sum((1, 2, 3)), rtol=1e-5)
    figure = plot_attribution(IMAGES, attribution_of(nats))
    total, _ = figure.axes[1].get_title().splitlines()
    assert total == f"{nats[1].sum():.3g} nats"
    inputs = {"image": nats, "ids": None}
    resized = attribution_of(inputs).resize((2, 2))
    assert resized["image"].shape == (3, 2, 2)
    assert resized["ids"] is None
    for shape in ((8,), (8, 0), (8, 8.0)):
        with pytest.raises(ValueError, match="`shape` must"):
            attribution_of(nats).resize(shape)


def test_the_color_of_a_token_is_its_nats(tmp_path):
    nats = np.array([[0.0, 2.0, 1.0, 9.0], [1.0, 0.0, 0.0, 0.0]])
    texts = [["a", "long", "$x$"], ["one", "two", "three", "four"]]
    figure = plot_tokens(texts, nats, ["x", "y"], width=8, path=tmp_path / "text.png")
    heading, *tokens = figure.axes[0].texts[:4]
    assert heading.get_text() == "x: 3 nats, max 2"  # what lies beyond the text is padding
    assert [token.get_text() for token in tokens] == ["a", "long", r"\$x\$"]
    redness = [np.subtract(*token.get_bbox_patch().get_facecolor()[:2]) for token in tokens]
    assert redness[0] == 0
    np.testing.assert_allclose(redness[1], 2 * redness[2], rtol=1e-6)
    assert tokens[2].get_position()[0] == 0  # a new line
    assert tokens[2].get_position()[1] == tokens[1].get_position()[1] + 1
    assert (tmp_path / "text.png").stat().st_size > 1000
    features = np.stack([nats, 0 * nats], axis=-1)
    same = plot_tokens(texts, attribution_of(features), units="bits")
    assert same.axes[0].texts[0].get_text() == "4.33 bits, max 2.89"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([["a"]], np.ones((2, 1))), "a row for each text"),
        (([["a", "b"]], np.ones((1, 1))), "a position for each token"),
        (([[]], np.ones((1, 1))), "a position for each token"),
        (([["a"]], np.ones((1, 1)), ["x", "y"]), "one title for each of the 1 texts"),
        (([["a"]], np.ones((1, 1)), None, "bytes"), "`units` must be one of"),
        (([["a"]], np.ones((1, 1)), None, "nats", 0), "`width` must be a positive integer"),
    ],
)
def test_what_text_it_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_tokens(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES[0], IMAGES[0]), "Images must have the shape"),
        ((np.zeros((2, 8, 8, 2)),) * 2, "Images must have the shape"),
        ((IMAGES[:0],) * 2, "Images must have the shape"),
        ((IMAGES, IMAGES[:2]), "the shape of its images"),
        ((IMAGES, IMAGES, ["one"]), "one title for each of the 3 images"),
        ((IMAGES, IMAGES, None, "bytes"), "`units` must be one of"),
        ((IMAGES, IMAGES, None, "nats", 0), "`columns` must be a positive integer"),
    ],
)
def test_what_it_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_attribution(*arguments)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="Plotting requires matplotlib: pip install matplotlib"):
        make_figure()


def test_the_largest_pixel_of_each_image():
    images = np.linspace(0, 1, 128, dtype="float32").reshape(2, 8, 8)
    figure = plot_attribution(images, np.stack([np.full((8, 8), 1.0), np.full((8, 8), 3.0)]))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["64 nats\nmax 1", "192 nats\nmax 3"]
