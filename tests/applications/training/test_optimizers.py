import keras
import numpy as np
import pytest

from applications.training.optimizers import build_adam
from tests.support import BACKEND
from tests.support import to_numpy

RATE, DECAY, STEPS = 0.05, 0.3, 7


def adam_reference(kind):
    """Adam after Kingma and Ba, with either decay, in NumPy float64."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=5)
    m = v = np.zeros(5)
    for t in range(1, STEPS + 1):
        g = np.cos(w) + (DECAY * w if kind == "coupled" else 0.0)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        if kind == "decoupled":
            w = w - RATE * DECAY * w
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    return w


@pytest.mark.parametrize("kind", ["coupled", "decoupled"])
def test_against_numpy(kind):
    optimizer = build_adam(RATE, DECAY, kind)
    w = keras.Variable(np.random.default_rng(0).normal(size=5), dtype="float32")
    optimizer.build([w])
    for _ in range(STEPS):
        optimizer.apply([keras.ops.cos(w.value)], [w])
    np.testing.assert_allclose(to_numpy(w), adam_reference(kind), rtol=2e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="torch.optim.Adam is the model")
def test_coupled_is_what_pytorch_does():
    import torch

    w = torch.nn.Parameter(torch.tensor(np.random.default_rng(0).normal(size=5)))
    optimizer = torch.optim.Adam([w], lr=RATE, weight_decay=DECAY, eps=1e-7)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.sin(w).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), adam_reference("coupled"), rtol=1e-6)


def test_in_fit_the_penalty_is_no_part_of_the_loss():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(build_adam(0.01, 100.0), "mse")
    x, y = np.ones((16, 3), "float32"), np.zeros((16, 1), "float32")
    before = np.abs(model.get_weights()[0]).sum()
    mse = float(np.mean((x @ model.get_weights()[0]) ** 2))
    history = model.fit(x, y, batch_size=16, epochs=10, verbose=0)
    assert history.history["loss"][0] == pytest.approx(mse, rel=1e-4)
    assert np.abs(model.get_weights()[0]).sum() < before


def test_config_and_errors():
    optimizer = build_adam(0.01, 0.2)
    assert type(optimizer).from_config(optimizer.get_config()).penalty == 0.2
    with pytest.raises(ValueError, match="'l2'"):
        build_adam(0.01, 0.2, "l2")
