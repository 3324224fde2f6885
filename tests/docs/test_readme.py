"""The README is short, leads to what it names, and its Python runs as printed."""

import re

import numpy as np
import pytest

from tests.docs.pages import ROOT
from tests.docs.pages import blocks_of
from tests.docs.pages import links_of
from tests.docs.pages import run

README = "README.md"


def test_it_is_short():
    assert len((ROOT / README).read_text().splitlines()) <= 150
    assert len(blocks_of(README)) == 2


def test_links_and_pictures_lead_to_files():
    links = links_of(README)
    assert len(links) > 20
    for link in links:
        assert (ROOT / link).is_file() or (ROOT / link).is_dir(), link


def test_it_links_every_guide():
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/guides").glob("*.md")}
    assert guides <= set(links_of(README))


def test_the_two_commands_are_there():
    commands = re.findall(r"```bash\n(python3 -m venv .*)\n```", (ROOT / README).read_text())
    assert len(commands) == 2
    assert commands[0].endswith("&& KERAS_BACKEND=jax .venv/bin/python -m applications.half_moons")
    assert commands[1].endswith("&& .venv/bin/pip install nox && .venv/bin/nox")


@pytest.mark.experiment("tensorflow", "jax", "torch")
def test_blocks():
    bottleneck, vae = run(README)
    history = bottleneck["history"].history
    assert history["bottleneck_rate"] == pytest.approx([np.log(4)] * 3, rel=1e-5)
    # 784 fair coins: log 2 nats each, to begin with
    assert vae["history"].history["loss"][0] == pytest.approx(784 * np.log(2), rel=0.1)
    amplitude = vae["encoder"].predict(vae["x"], verbose=0)
    assert np.mean(np.sum(amplitude**2, axis=-1)) > 0
