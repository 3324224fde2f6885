"""What made a result: command, commit, versions and device."""

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

# For each value of these columns, a table states how many rows it made.
_MAKERS = {"backend": "", "commit": "commit ", "keras": "Keras ", "device": ""}
COLUMNS = ("command", "commit", "backend", "keras", "device")  # what `describe_run` returns


def describe_run(module):
    """Return a flat dict of how this process was started and what it runs on.

    Args:
        module: String. Name of the module that `python -m` runs.
    """
    arguments = map(_without_folders, sys.argv[1:])
    command = " ".join(["python -m", module, *arguments])
    return {
        # A character such as the end of a line would break the line of a table.
        "command": "".join(char if char.isprintable() else "?" for char in command),
        "commit": commit(),
        "backend": backend(),
        "keras": keras.__version__,
        "device": _device(),
    }


def _without_folders(argument):
    """Keep a folder's name and remove its location on this machine."""
    option, equals, value = argument.partition("=")
    if equals and os.path.isabs(value):
        return f"{option}={pathlib.PurePath(value).name}"
    return pathlib.PurePath(argument).name if os.path.isabs(argument) else argument


def read_commit():
    """Return the commit of this checkout, and whether its code has uncommitted changes."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "applications", "benchmarks", "keras_slashed")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + (" with changes" if changed else "")


def commit():
    """Return what `read_commit` returned when this process imported its code."""
    return _COMMIT


def _git(*arguments):
    result = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


_COMMIT = read_commit()


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
    """Return a line with each backend, commit, Keras version and device, and its row count."""
    parts = []
    for column, title in _MAKERS.items():
        counts = collections.Counter(row[column] for row in rows)
        parts.append(", ".join(f"{title}{value} ({count})" for value, count in counts.items()))
    return f"Made by (number of rows): {'; '.join(parts)}."


def made_at_once(rows, table):
    """Return the end of the Markdown of rows made by one command. `table` names their CSV file."""
    first = rows[0]
    return (
        f"Made by `{first['command']}`, data sha256 {first['data_sha256'][:12]}. "
        f"All numbers are in `{table}`.\n\n{made_by(rows)}\n"
    )


def groups_of_seeds(rows, deciding):
    """Return a list of groups of rows. The rows of a group differ only in their seed.

    The rows of a group are in order of their seeds. Rows of different backends are in different
    groups.

    Args:
        deciding: Sequence of strings. Names of the columns that identify a row, including
            its seed.

    Raises:
        ValueError: If a seed occurs twice in a group, since it would be averaged with itself.
    """
    found = {}
    for row in rows:
        key = *(row[name] for name in deciding if name != "seed"), backend_of(row)
        found.setdefault(key, []).append(row)
    for key, group in found.items():
        seeds = [row["seed"] for row in group]
        if len(set(seeds)) < len(seeds):
            raise ValueError(
                f"Each seed must occur only once. Received: seeds {', '.join(seeds)} of the row "
                f"{', '.join(filter(None, key))}"
            )
    return [sorted(group, key=lambda row: int(row["seed"])) for group in found.values()]


def seeds_of(group):
    """Return the seeds of rows, and what else differs in how they were made."""
    seeds = ", ".join(row["seed"] for row in group)
    mixed = mixture(group)
    return f"{seeds} (from {mixed})" if mixed else seeds


def mixture(rows):
    """Return what differs in how rows were made, like "2 commits, 2 devices", or ""."""
    titles = {"backend": "versions of the backend", "commit": "commits",
              "keras": "versions of Keras", "device": "devices"}  # fmt: skip
    numbers = {title: len({row[column] for row in rows}) for column, title in titles.items()}
    return ", ".join(f"{number} {title}" for title, number in numbers.items() if number > 1)


def differences(row, default, shown):
    """Return a text that states how a row differs from the paper's setting.

    Args:
        row: Dict of strings.
        default: Dict of strings. The columns of the paper's setting.
        shown: Sequence of strings. Names of columns that are shown elsewhere.
    """
    others = [name for name, value in default.items() if row[name] not in (value, "")]
    return ", ".join(f"{name}={row[name]}" for name in others if name not in shown)


def telling_apart(rows):
    """Return a function that describes how a row differs from other rows of its table.

    It states the backend if the table has several, and the checksum of the data if the data
    set has several.
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
