"""Replicas in separate processes, as in `DistributedDataParallel`."""

import contextlib

import torch
from torch import distributed


def sum_over_replicas(x):
    """Return the sum of a tensor over the default process group, with its gradient."""
    # Tensors on the meta device belong to a symbolic call, possibly in only one process.
    if _number_of_processes() == 1 or x.device.type == "meta":
        return x
    return _Sum.apply(x)


def sum_over_mirrored_replicas(x):
    """Return x unchanged, since no process writes to the variables of another one."""
    return x


gather_from_mirrored_replicas = sum_over_mirrored_replicas


def kept_losses(layer):
    """Return a context that does nothing, since there is no other replica in this process."""
    return contextlib.nullcontext()


def replica_index():
    """Return the rank of this process."""
    return distributed.get_rank() if _number_of_processes() > 1 else 0


def _number_of_processes():
    if not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size()


class _Sum(torch.autograd.Function):
    # Like `torch.distributed.nn.functional.all_reduce`, which PyTorch 2.13 deprecates.
    @staticmethod
    def forward(ctx, x):
        x = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, upstream):
        return _Sum.apply(upstream)
