"""Plot the nats of tokens as the color behind their text."""

import numpy as np

from keras_slashed.attribution.figure import COLOR
from keras_slashed.attribution.figure import UNITS
from keras_slashed.plotting import make_figure
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_positive_integer

_CHARACTER, _LINE, _MARGIN = 0.086, 0.24, 0.15  # inches


def plot_tokens(texts, attribution, titles=None, units="nats", width=90, path=None):
    """Plot lines of text with the nats of each token as the color behind it.

    The tokens follow each other as in a text, and those with more nats are redder. The color
    scale of each text extends from 0 to its largest token. Its title states the sum and that
    largest value. Nats beyond the end of a text, those of padding, are not in the plot.

    Args:
        texts: List of lists of strings. The tokens of each text.
        attribution: `Attribution` of the texts, or its map of shape `(N, length)` or
            `(N, length, features)`. The nats of the features of a token are added up.
        titles: List of strings or None. One title for each text.
        units: String. "nats" or "bits".
        width: Integer. Number of characters in a line.
        path: String or None. File to save the figure to.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the map does not have a row for each text and a position for each token.
        ImportError: If matplotlib is not installed.

    Example:

    >>> figure = keras_slashed.attribution.plot_tokens([["not", "bad"]], np.array([[3.0, 1.0]]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['4 nats, max 3', 'not', 'bad']
    """
    check_choice("units", units, tuple(UNITS))
    check_positive_integer("width", width)
    values = np.asarray(getattr(attribution, "nats", attribution))
    values = values.sum(axis=-1) if values.ndim == 3 else values
    longest = max(map(len, texts), default=0)
    if not longest or values.ndim != 2 or len(values) != len(texts) or values.shape[1] < longest:
        raise ValueError(
            "A map must have the shape (N, length) or (N, length, features), with a row for each "
            f"text and a position for each token. Received: {len(texts)} texts of up to {longest} "
            f"tokens, map {values.shape}"
        )
    if titles is not None and len(titles) != len(texts):
        raise ValueError(
            f"Argument `titles` must have one title for each of the {len(texts)} texts. "
            f"Received: {len(titles)}"
        )
    blocks = [_places(tokens, width) for tokens in texts]
    lines = sum(2.3 + block[-1][0] if block else 1.3 for block in blocks)
    size = (2 * _MARGIN + _CHARACTER * width, 2 * _MARGIN + _LINE * lines)
    figure = make_figure(figsize=size)
    panel = figure.add_axes((_MARGIN / size[0], _MARGIN / size[1], 1 - 2 * _MARGIN / size[0],
                             1 - 2 * _MARGIN / size[1]))  # fmt: skip
    panel.set(xlim=(0, width), ylim=(lines, 0))
    panel.set_axis_off()
    top = 0.5
    for index, (tokens, block) in enumerate(zip(texts, blocks)):
        nats = values[index, : len(tokens)] / UNITS[units]
        largest = nats.max(initial=0.0)
        heading = f"{titles[index]}: " if titles is not None else ""
        heading += f"{nats.sum():.3g} {units}, max {largest:.3g}"
        panel.text(0, top, heading, fontsize="small", color="0.4", va="center")
        for token, value, (line, column) in zip(tokens, nats, block):
            share = value / largest if largest > 0 else 0.0
            color = 1.0 - share * (1.0 - np.asarray(COLOR))
            panel.text(
                column,
                top + 1 + line,
                # A dollar sign would start a formula.
                token.replace("$", r"\$"),
                family="monospace",
                fontsize=10,
                va="center",
                bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5},
            )
        top += 2.3 + (block[-1][0] if block else -1)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _places(tokens, width):
    """Return the line and the column of each token."""
    places, line, column = [], 0, 0
    for token in tokens:
        if column and column + len(token) > width:
            line, column = line + 1, 0
        places.append((line, column))
        column += len(token) + 1
    return places
