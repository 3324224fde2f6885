"""The README's Python runs as printed."""

import pathlib
import re

import numpy as np
import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_fixed_rate_vib():
    names = {}
    exec(BLOCKS[0], names)
    assert names["history"].history["bottleneck_rate"] == pytest.approx([np.log(4)] * 3, rel=1e-5)


def test_vae():
    names = {}
    exec(BLOCKS[1], names)
    vae = names["vae"]
    vae.compile("adam", "mse")
    loss = vae.evaluate(np.zeros((8, 784)), np.zeros((8, 784)), verbose=0)
    assert np.isfinite(loss)
    assert float(vae.get_layer("latent").kl_weight.value) == 0.5


def test_learnt_rate():
    names = {}
    exec(BLOCKS[2], names)
    rates = names["history"].history["latent_rate"]
    assert rates[0] == pytest.approx(7.0, abs=0.1)
    assert names["history"].history["latent_kl_weight"][-1] == 1.0


def test_amplitudes_by_hand():
    names = {}
    exec(BLOCKS[3], names)
    assert float(names["mean"][0, 0]) == pytest.approx(0.8485, abs=5e-5)
    assert float(names["stddev"][0, 0]) == pytest.approx(0.3387, abs=5e-5)


def test_distribution():
    names = {}
    exec(BLOCKS[4], names)
    assert float(names["posterior"].kl_divergence()[0]) == pytest.approx(1.0, rel=1e-6)


def test_pictures_are_there():
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", README.read_text())
    assert pictures
    for picture in pictures:
        assert (README.parent / picture).is_file(), picture
