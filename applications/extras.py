"""Packages of the extra `applications`, and a message for when one is missing."""

import importlib


def load(name):
    """Return a module of a package that the extra `applications` installs.

    Files call it next to their imports, so that a command fails before it computes anything.

    Args:
        name: String. Name of the module, like "scipy.stats".

    Raises:
        ImportError: If the package is not installed. The message names the extra.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"This needs {name.split('.')[0]} ({error}). Install it with the extra "
            '`applications`: pip install ".[applications]" in the folder of pyproject.toml'
        ) from error


def pyplot():
    """Return `matplotlib.pyplot`, set to draw into files and open no window."""
    load("matplotlib").use("Agg")
    return load("matplotlib.pyplot")


def save(figure, path, dpi=130):
    """Write a figure of `pyplot` into a file, and close it.

    Args:
        figure: Figure of `pyplot`.
        path: String or path. File of the figure. The functions that draw take the same `path`.
        dpi: Integer. Dots per inch.
    """
    figure.savefig(path, dpi=dpi)
    pyplot().close(figure)
