"""Access to matplotlib, which the library does not require."""


def make_figure(**options):
    """Create a `matplotlib.figure.Figure` with the given options.

    It does not use pyplot. It changes no global state, and the figure need not be closed.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plotting requires matplotlib: pip install matplotlib") from error
    return Figure(**options)
