"""Measures of a code, next to NumPy and SciPy."""

import keras
import numpy as np
import pytest
import scipy.stats

from applications.compress.block_vae import BlockVAE
from applications.compress.block_vae import reconstruction
from applications.compress.config import CoderSetting
from applications.compress.measures import Measures
from applications.compress.pictures import Pictures
from applications.compress.pictures import pixels_of
from applications.compress.pictures import psnr
from applications.compress.table import quantile_bits
from applications.datasets import images
from tests.support import to_numpy


@pytest.mark.parametrize("pixels", ["binary", "shades"])
def test_nats_are_a_log_likelihood(pixels):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (3, 4, 4)).astype("float32")
    output = rng.normal(size=x.shape).astype("float32")
    loss = reconstruction(CoderSetting("digits", pixels, noise=0.3))
    nats = to_numpy(loss(*map(keras.ops.convert_to_tensor, (x, output))))
    if pixels == "binary":
        each = -scipy.stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-output.astype("float64"))))
        expected = each.sum(axis=(1, 2))
    else:
        density = scipy.stats.norm(output, 0.3)
        expected = (density.logpdf(output) - density.logpdf(x)).sum(axis=(1, 2))
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


def test_pixels_and_psnr():
    logits = np.array([-200.0, -1.0, 0.0, 2.0])
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(pixels_of(logits, "binary"), expected, atol=1e-16)
    assert pixels_of(np.array([-0.5, 0.25, 1.5]), "shades").tolist() == [0, 0.25, 1]
    assert psnr(np.zeros((2, 3)), np.full((2, 3), 0.1)) == pytest.approx(20)
    assert psnr(np.zeros((2, 3)), np.full((2, 3), 0.5 / 255)) == np.inf


def test_pictures_of_digits():
    data = images.load("digits")
    shades = Pictures.of(data, "shades")
    assert (shades.shades, shades.raw_bytes) == (17, 40)
    assert set(np.unique(shades.test * 16)) <= set(range(17))
    binary = Pictures.of(data, "binary")
    assert (binary.shades, binary.raw_bytes) == (2, 8)
    np.testing.assert_array_equal(binary.test, shades.test > 0.5)
    assert binary.sha256 == shades.sha256


def test_many_bits_decode_to_draws_from_the_posterior():
    """At 2 nats and 10 bits, decoded draws have the distortion of posterior draws."""
    vae = BlockVAE(CoderSetting("digits", "shades", rate=2.0, block_dim=2, units=8), (8, 8))
    x = (images.load("digits").x_test[:100] + 1) / 2
    measures = Measures(vae, x)
    np.testing.assert_allclose(measures.rates, 2.0, rtol=1e-5)
    nats, decibels = measures.posterior()
    coded, coded_decibels = measures.coded(10)
    error = np.std(coded - nats) / 10
    assert abs(np.mean(coded - nats)) < 5 * error + 0.05
    assert coded_decibels == pytest.approx(decibels, abs=0.1)
    # The same bits for each block, given one by one, are another code of the same quality.
    one_by_one, _ = measures.coded([10] * 8)
    assert abs(np.mean(one_by_one - nats)) < 5 * error + 0.05
    narrow = measures.folded()
    assert measures.stddev.max() > 1 >= narrow.stddev.max()
    np.testing.assert_allclose(narrow.rates, measures.rates, rtol=1e-6)


def test_bits_for_a_quantile():
    rates = np.tile(np.linspace(0, 10, 1001)[:, None], (1, 2)) * [1, 0.1]
    # 9.9 and 0.99 nats are 14.3 and 1.4 bits.
    assert list(quantile_bits(rates, margin=2.0)) == [17, 4]
