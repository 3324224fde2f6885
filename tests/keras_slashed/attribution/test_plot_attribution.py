"""Pictures of maps: what they show, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from keras_slashed.attribution import Attribution
from keras_slashed.attribution import plot_attribution

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


def test_without_matplotlib():
    script = """
import sys
sys.modules["matplotlib.figure"] = None
from keras_slashed.plotting import make_figure
try:
    make_figure()
except ImportError as error:
    print(error)
"""
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "Plotting requires matplotlib: pip install matplotlib"
