"""A VIB and a VAE on digits, trained through `model.fit` under each dtype policy."""

import functools
import math

import numpy as np
import pytest

from applications.datasets import images
from benchmarks.precision_stress import training
from benchmarks.precision_stress.model import POLICIES

pytestmark = pytest.mark.experiment("jax")

EPOCHS = {"VIB": 15, "VAE": 30}
# The VIB's rate is that of amplitudes rounded to the compute dtype: each is off by half an
# epsilon at most, its square by one. float32: the mean over steps in float32, too.
RATE_TOLERANCE = {
    "float32": 1e-5,
    "mixed_bfloat16": 2.0**-7,
    "mixed_float16": 2.0**-10,
    "float64": 1e-6,
}
# Three standard deviations of a difference of two runs: over eight of them in float32 (four
# seeds, two backends) ELBO and rate had 0.21 and 0.31 nats. float64 starts with other weights.
ELBO_NOISE = 0.9
RATE_NOISE = 1.3


@functools.cache
def trained(model, policy):
    data = images.load("digits")
    reached = training.train(model, policy, data, EPOCHS[model], width=64)
    assert reached["losses_are_finite"]
    assert reached["is_scaled"] == (policy == "mixed_float16")
    return reached


@pytest.mark.parametrize("policy", POLICIES)
def test_vib(policy):
    reached = trained("VIB", policy)
    target = training.RATE
    assert reached["rate"] == pytest.approx(target, rel=RATE_TOLERANCE[policy])
    assert target == pytest.approx(math.log(10))
    # Three times the standard deviation of a difference of two shares of 360 images.
    error = trained("VIB", "float32")["error"]
    assert 0.0 < error < 0.15
    noise = 3.0 * math.sqrt(2.0 * error * (1.0 - error) / 360)
    assert reached["error"] == pytest.approx(error, abs=noise)


@pytest.mark.parametrize("policy", POLICIES)
def test_vae(policy):
    reached, expected = trained("VAE", policy), trained("VAE", "float32")
    # Without its latent a VAE knows the mean digit alone: that is worse by nats.
    assert expected["elbo"] > -_nll_of_mean_image() + 0.4
    assert min(reached["rate"], expected["rate"]) > 0.5
    assert reached["elbo"] == pytest.approx(expected["elbo"], abs=ELBO_NOISE)
    assert reached["rate"] == pytest.approx(expected["rate"], abs=RATE_NOISE)


def _nll_of_mean_image():
    data = images.load("digits")
    x, x_test = (training.pixels_of(x) for x in (data.x_train, data.x_test))
    p = np.clip(x.mean(axis=0), 1e-4, 1 - 1e-4)
    return -np.sum(x_test * np.log(p) + (1 - x_test) * np.log(1 - p), axis=-1).mean()
