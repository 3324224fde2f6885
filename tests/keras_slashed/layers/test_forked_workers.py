"""The noise of a layer that a PyTorch data set calls, in forked workers of its DataLoader."""

import json

import pytest

from tests.support import BACKEND
from tests.support import run_python

SCRIPT = """
import json
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from keras_slashed.layers import FixedRateVIB, SlashedNormalSampling

class Noisy(Dataset):
    def __init__(self, layer):
        self.layer = layer

    def __len__(self):
        return 12

    def __getitem__(self, index):
        with torch.no_grad():
            return float(self.layer(torch.zeros(1, 2))[0, 0])

def seed_worker(_):
    layer = get_worker_info().dataset.layer
    generator = getattr(layer, "sampling", layer).seed_generator
    words = np.random.SeedSequence(torch.initial_seed()).generate_state(2)
    generator.state.assign(words)

def draws(layer, **options):
    loader = DataLoader(Noisy(layer), 1, num_workers=3, multiprocessing_context="fork", **options)
    return [float(x) for _ in range(2) for x in loader]  # two epochs

results = []
for layer in (
    SlashedNormalSampling(seed=0),
    SlashedNormalSampling(),
    FixedRateVIB(1.0, inference="sample", seed=0),
):
    layer(torch.zeros(1, 2))
    torch.manual_seed(0)
    results.append([draws(layer), draws(layer, worker_init_fn=seed_worker)])
print(json.dumps(results))
"""


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
def test_noise_in_forked_workers():
    """Each worker has the same, as the docstring says, unless it is seeded as it says."""
    output, _ = run_python(SCRIPT)
    for copied, seeded in json.loads(output):
        assert len(set(copied)) == 4, "of 3 workers and 2 epochs, each of 4 draws"
        assert len(set(seeded)) == len(seeded) == 24
