"""What an elementwise function costs in memory and operations, without running it."""

import contextlib
import pathlib

from benchmarks.harness.frameworks import BACKEND

_FUSED = ("jit", "xla")  # forward and backward pass become one kernel


def cost_analysis(compiled, arguments):
    """Return what XLA says that one element costs; nothing but on JAX.

    It counts a division or a square root as one flop, and bytes that move between
    kernels, not within them.
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
    """Return the bytes an element that must move, if all is fused that can be.

    Args:
        mode: One of `benchmarks.harness.frameworks.MODES`.
        backward: Whether a backward pass follows the forward pass.
        saves: Whether the backward pass needs what the forward pass read or wrote.
        itemsize: Of `item_size`.
    """
    if not backward:
        return 2 * itemsize  # x in, y out
    # In: x and the cotangent; out: y and the gradient. A backward pass that runs
    # apart reads what the forward pass saved, x or y.
    return (5 if saves and mode not in _FUSED else 4) * itemsize


def needed_memory(size, dtype, mode):
    """Return the bytes that a case of `benchmarks.stdplus_speed` takes, generously guessed."""
    # Three arrays go in, two come out. Where nothing is fused, each operation of a
    # long chain leaves one behind, and the backward pass wants some of them again.
    arrays = 10 if mode in (*_FUSED, "compile") else 24
    return arrays * size * max(4, item_size(dtype))


def free_memory():
    """Return the bytes that are free where arrays live, or None if unknown."""
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
    with contextlib.suppress(OSError, ValueError):  # a container's own limit, if it has one
        group = pathlib.Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        free.append(limit - used)
    return min(free, default=None)
