"""How many processors there are to compute on."""

import os

import keras


def processors():
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def threads():
    """Return how many threads the framework may compute on, on a CPU."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.get_num_threads()
    told = os.environ.get("TF_NUM_INTRAOP_THREADS") if backend == "tensorflow" else None
    return int(told or 0) or processors()
