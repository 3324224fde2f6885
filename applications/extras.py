"""Packages of the extra `applications`, and what to do where one is missing."""

import importlib


def load(name):
    """Return a module of a package that the extra `applications` installs.

    Called where a file imports, so that a command fails before it computes anything.

    Args:
        name: Name of the module, like "scipy.stats".

    Raises:
        ImportError: The package is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"This needs {name.split('.')[0]} ({error}). The extra `applications` has it: "
            'pip install ".[applications]" in the folder of pyproject.toml'
        ) from error


def pyplot():
    """Return `matplotlib.pyplot`, which draws into files and opens no window."""
    load("matplotlib").use("Agg")
    return load("matplotlib.pyplot")


def save(figure, path, dpi=130):
    """Write a figure of `pyplot` into a file, and forget it."""
    figure.savefig(path, dpi=dpi)
    pyplot().close(figure)
