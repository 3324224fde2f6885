"""What made a result: command, commit, versions, device."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys

import keras

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}


def describe_run(module):
    """Return how this process was started and on what it runs, as a flat dict.

    Args:
        module: Name of the module that `python -m` runs.
    """
    arguments = [_without_folders(argument) for argument in sys.argv[1:]]
    return {
        "command": " ".join(["python -m", module, *arguments]),
        "commit": _commit(),
        "backend": _backend(),
        "keras": keras.__version__,
        "device": _device(),
    }


def _without_folders(argument):
    """Keep a folder's name and leave out where on this machine it lies."""
    return pathlib.PurePath(argument).name if os.path.isabs(argument) else argument


def _commit():
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "applications", "benchmarks", "keras_slashed")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit[:12] + (" with changes" if changed else "")


def _git(*arguments):
    result = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def _backend():
    backend = keras.backend.backend()
    for package in _PACKAGES.get(backend, ()):
        try:
            return f"{backend} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return backend


def _device():
    accelerators = _accelerators()
    if accelerators:
        return ", ".join(accelerators)
    return f"CPU {platform.machine()}, {os.cpu_count()} cores"


def _accelerators():
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(device) for device in devices]
        return [detail.get("device_name", "GPU") for detail in details]
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
