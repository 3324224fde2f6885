"""PyTorch on several devices, with one process per device and `torch.distributed`."""

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
    """Call a function in the processes of one group, and return the result of the first one.

    Args:
        number: Integer. Number of processes, at least 1.
        function: Function at the top level of a module, since it is pickled.
        *arguments: Arguments of the function, which are pickled.

    Raises:
        torch.multiprocessing.ProcessRaisedException: If the function raised an error in one
            of the processes. The others are ended.
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
        # All processes are on one machine, whose host name need not be resolved.
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
        # A process that ends while another still communicates with it makes that one fail.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
    _leave()


def _leave():
    """End this process without shutting down the interpreter.

    During a shutdown, a thread of gloo that still holds a tensor sometimes ends the process by
    SIGABRT, and the parent would count it as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _loopback():
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])


def share():
    """Return the slice of a batch's rows that this process supplies: every n-th row."""
    if not distributed.is_initialized():
        return slice(None)
    return slice(distributed.get_rank(), None, distributed.get_world_size())


def mean(values):
    """Return the mean over all processes of a list of numbers that each process has."""
    gathered = [None] * distributed.get_world_size()
    distributed.all_gather_object(gathered, values)
    return np.mean(gathered, axis=0).tolist()


class DataParallelModel(keras.Model):
    """A model that trains by `DistributedDataParallel`, each process on its own batches.

    All processes start from the weights of the first one, and in `fit` each gradient is the
    mean over the processes. The logged losses, metrics and rates are those of the process's
    own batches. `mean` averages them over all processes.

    Args:
        model: Built `keras.Model`.
        **kwargs: Base model keyword arguments, such as `name`.
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        self.model = model
        # In a list, because Keras would otherwise wrap it in a layer and count weights twice.
        self._parallel = [DistributedDataParallel(model)]
        self.build(model.input_shape)

    def build(self, input_shape):
        self.built = True  # the inner model is built

    def call(self, x, training=None):
        if not training:
            return self.model(x, training=training)
        return self._parallel[0](x, training=training)
