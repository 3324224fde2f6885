import numpy as np
import pytest

from applications.training.optimizers import one_cycle
from tests.support import to_numpy


def test_up_and_down():
    """Start, peak and end are those of PyTorch's OneCycleLR (div_factor 25, final 1e4)."""
    schedule = one_cycle(2e-3, steps=100, warmup=0.1)
    rates = np.array([float(to_numpy(schedule(step))) for step in range(101)])
    assert rates[0] == pytest.approx(2e-3 / 25, rel=1e-6)
    assert np.argmax(rates) == 10
    assert rates[10] == pytest.approx(2e-3, rel=1e-6)
    assert rates[100] == pytest.approx(2e-3 / 25 / 1e4, rel=1e-3)
    assert np.all(np.diff(rates[:11]) > 0)
    assert np.all(np.diff(rates[11:]) < 0)
    # half a cosine on the way down
    assert rates[55] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_a_few_steps(steps):
    schedule = one_cycle(1e-3, steps)
    assert all(0 < float(to_numpy(schedule(step))) <= 1.001e-3 for step in range(steps))
