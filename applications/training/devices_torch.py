"""PyTorch on several devices: a process for each, joined by `torch.distributed`."""

import os
import pathlib
import pickle
import socket
import sys
import tempfile

import keras
import numpy as np
import torch
from torch import distributed
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel


def run_in_processes(number, function, *arguments):
    """Call a function in processes that make up one group; return what the first returned.

    Args:
        number: Of processes, at least 1.
        function: Of the top level of a module, as its arguments are to be pickled.
        *arguments: Of the function.

    Raises:
        torch.multiprocessing.ProcessRaisedException: The function raised in one of
            the processes; the others were ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(
            _run,
            (number, folder, function, arguments),
            nprocs=number,
            daemon=True,
            start_method="spawn",
        )
        return pickle.loads(pathlib.Path(folder, "result").read_bytes())


def _run(rank, number, folder, function, arguments):
    gpus = torch.cuda.is_available() and torch.cuda.device_count() >= number
    if gpus:
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // number))
        # One machine: no name of it has to be looked up.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    distributed.init_process_group(
        "nccl" if gpus else "gloo",
        init_method=pathlib.Path(folder, "group").as_uri(),
        rank=rank,
        world_size=number,
    )
    try:
        result = function(*arguments)
        if rank == 0:
            pathlib.Path(folder, "result").write_bytes(pickle.dumps(result))
        # One that leaves while another still talks to it takes that one down.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
    _leave()


def _leave():
    """End this process as it is, its work done.

    Where the interpreter is taken apart first, a thread of gloo that has yet to let go of a
    tensor now and then ends the process by SIGABRT, and the parent counts it as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _loopback():
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])


def share():
    """Return the slice of a batch's rows that this process supplies: every n-th."""
    if not distributed.is_initialized():
        return slice(None)
    return slice(distributed.get_rank(), None, distributed.get_world_size())


def mean(values):
    """Return the mean over all processes of a list of numbers that each has."""
    gathered = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, values)
    return np.mean(gathered, axis=0).tolist()


class DataParallelModel(keras.Model):
    """A model that trains by `DistributedDataParallel`: each process on its own batches.

    In `fit` the gradients are the mean over the processes, which start from the weights
    of the first. Losses, metrics and rates that it logs are those of its own batches;
    `mean` has those of all.

    Args:
        model: A built Keras model.
        **kwargs: As for any `keras.Model`.
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        self.model = model
        # In a list: Keras would make a layer of it, and its weights count twice.
        self._parallel = [DistributedDataParallel(model)]
        self.build(model.input_shape)

    def build(self, input_shape):
        self.built = True  # as its model is

    def call(self, x, training=None):
        if not training:
            return self.model(x, training=training)
        return self._parallel[0](x, training=training)
