"""What made a result: command, commit, versions, device."""

import collections
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys

import keras

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax",), "torch": ("torch",)}

# Of these a table says how many rows each of their values made.
_MAKERS = {"backend": "", "commit": "commit ", "keras": "Keras ", "device": ""}
COLUMNS = ("command", "commit", "backend", "keras", "device")  # of `describe_run`


def describe_run(module):
    """Return how this process was started and on what it runs, as a flat dict.

    Args:
        module: Name of the module that `python -m` runs.
    """
    arguments = [_without_folders(argument) for argument in sys.argv[1:]]
    return {
        "command": " ".join(["python -m", module, *arguments]),
        "commit": commit(),
        "backend": backend(),
        "keras": keras.__version__,
        "device": _device(),
    }


def _without_folders(argument):
    """Keep a folder's name and leave out where on this machine it lies."""
    return pathlib.PurePath(argument).name if os.path.isabs(argument) else argument


def commit():
    """Return the commit of this checkout, and whether its code has changes."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "applications", "benchmarks", "keras_slashed")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + (" with changes" if changed else "")


def _git(*arguments):
    result = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def backend():
    """Return the name and version of the present backend."""
    name = keras.backend.backend()
    for package in _PACKAGES.get(name, ()):
        try:
            return f"{name} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return name


def backend_of(row):
    """Return the name of the backend that made a row, without its version."""
    return row["backend"].partition(" ")[0]


def made_by(rows):
    """Return a line on what made rows: each backend, commit, Keras and device, with its count."""
    parts = []
    for column, title in _MAKERS.items():
        counts = collections.Counter(row[column] for row in rows)
        parts.append(", ".join(f"{title}{value} ({count})" for value, count in counts.items()))
    return f"What made the rows, and how many: {'; '.join(parts)}."


def groups_of_seeds(rows, deciding):
    """Return rows that differ in their seed alone together, a list of lists.

    Those of different backends are apart.

    Args:
        rows: Dicts of strings.
        deciding: Names of the columns that decide what a row is, its seed among them.

    Raises:
        ValueError: A seed is there twice: it would be averaged with itself.
    """
    found = {}
    for row in rows:
        key = *(row[name] for name in deciding if name != "seed"), backend_of(row)
        found.setdefault(key, []).append(row)
    for key, group in found.items():
        seeds = [row["seed"] for row in group]
        if len(set(seeds)) < len(seeds):
            raise ValueError(
                f"Each seed should be there once. Received: seeds {', '.join(seeds)} of the row "
                f"{', '.join(filter(None, key))}"
            )
    return list(found.values())


def seeds_of(group):
    """Return the seeds of rows, and what beside the seed differs between their makers."""
    seeds = ", ".join(sorted((row["seed"] for row in group), key=int))
    mixed = mixture(group)
    return f"{seeds} (of {mixed})" if mixed else seeds


def mixture(rows):
    """Return what differs between the makers of rows, like "2 commits, 2 devices", or ""."""
    titles = {"backend": "versions of the backend", "commit": "commits",
              "keras": "versions of Keras", "device": "devices"}  # fmt: skip
    numbers = {title: len({row[column] for row in rows}) for column, title in titles.items()}
    return ", ".join(f"{number} {title}" for title, number in numbers.items() if number > 1)


def differences(row, default, shown):
    """Return what sets a row apart from the paper's setting, as a text.

    Args:
        row: A dict of strings.
        default: The paper's columns.
        shown: Names of those that are shown elsewhere.
    """
    others = [name for name, value in default.items() if row[name] not in (value, "")]
    return ", ".join(f"{name}={row[name]}" for name in others if name not in shown)


def telling_apart(rows):
    """Return a function that says of a row what only some rows of a table have.

    Its backend, if there are several; the checksum of its data, if its data set has several.
    """
    backends = {backend_of(row) for row in rows}
    checksums = collections.defaultdict(set)
    for row in rows:
        checksums[row["dataset"]].add(row["data_sha256"])

    def text(row):
        parts = [f"backend={backend_of(row)}"] if len(backends) > 1 else []
        if len(checksums[row["dataset"]]) > 1:
            parts.append(f"data_sha256={row['data_sha256'][:12]}")
        return ", ".join(parts)

    return text


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
