"""The memory and operations of an elementwise function, without running it."""

import contextlib
import pathlib

from benchmarks.harness.frameworks import BACKEND

_FUSED = ("jit", "xla")  # forward and backward passes become one kernel


def cost_analysis(compiled, arguments):
    """Return XLA's cost estimate per element, which is empty on other backends than JAX.

    It counts a division or a square root as one flop. It counts bytes that move between
    kernels, but not within them.
    """
    if BACKEND != "jax":
        return {}
    cost = compiled.lower(*arguments).compile().cost_analysis() or {}
    elements = arguments[0].size
    names = ("flops", "transcendentals", "bytes accessed")  # absent where 0
    return {name: f"{cost.get(name, 0.0) / elements:.4g}" for name in names}


def item_size(dtype):
    """Return the bytes of a number."""
    return {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}[dtype]


def least_bytes(mode, backward, saves, itemsize):
    """Return the bytes per element that must move if everything possible is fused.

    Args:
        mode: String. One of `benchmarks.harness.frameworks.MODES`.
        backward: Boolean. Whether a backward pass follows the forward pass.
        saves: Boolean. Whether the backward pass needs an input or output of the forward pass.
        itemsize: Integer. Bytes of a number, from `item_size`.
    """
    if not backward:
        return 2 * itemsize  # x in, y out
    # Inputs are x and the cotangent, outputs are y and the gradient. A separate backward pass
    # reads what the forward pass saved, x or y.
    return (5 if saves and mode not in _FUSED else 4) * itemsize


def needed_memory(size, dtype, mode):
    """Return a generous estimate of the bytes that a case of `benchmarks.stdplus_speed` takes."""
    # There are three input arrays and two outputs. Without fusion, each operation of a long
    # chain leaves one array behind, and the backward pass needs some of them again.
    arrays = 10 if mode in (*_FUSED, "compile") else 24
    return arrays * size * max(4, item_size(dtype))


def free_memory():
    """Return the free bytes of the memory that holds arrays, or None if unknown."""
    if BACKEND == "jax":
        import jax

        stats = jax.devices()[0].memory_stats()
        if stats and "bytes_limit" in stats:
            return stats["bytes_limit"] - stats["bytes_in_use"]
    if BACKEND == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.mem_get_info()[0]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return None
    return _free_on_host()


def _free_on_host():
    free = []
    with contextlib.suppress(OSError, ValueError):
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        sizes = dict(line.split(":") for line in lines)
        free.append(1024 * int(sizes["MemAvailable"].split()[0]))
    with contextlib.suppress(OSError, ValueError):  # the limit of a container, if there is one
        group = pathlib.Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        free.append(limit - used)
    return min(free, default=None)
