"""The one way to matplotlib, which the library does not require."""


def make_figure(**options):
    """Return a new `matplotlib.figure.Figure`, with its options.

    Not one of pyplot's: nothing global is changed, and nothing has to be closed.

    Raises:
        ImportError: There is no matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("A picture needs matplotlib: pip install matplotlib") from error
    return Figure(**options)
