"""Plot maps in nats over their images."""

import math

import keras
import numpy as np

from keras_slashed.attribution.resizing import resized
from keras_slashed.plotting import make_figure
from keras_slashed.validation import check_choice
from keras_slashed.validation import check_positive_integer

COLOR = (0.84, 0.15, 0.16)
UNITS = {"nats": 1.0, "bits": math.log(2.0)}


def plot_attribution(x, attribution, titles=None, units="nats", columns=6, path=None):
    """Plot images with the maps of `amplitude_attribution` over them.

    Images are gray, and pixels with more nats are redder. The color scale of each image extends
    from 0 to its largest pixel. The title states the sum and that largest value. The map of a
    layer is resized to the image, as `Attribution.resize` does.

    Args:
        x: Array of shape `(N, height, width)` or `(N, height, width, channels)`. Images with 1 or
            3 channels, and values in any range.
        attribution: `Attribution` of the images, or its map of shape `(N, height, width)` or
            `(N, height, width, channels)`. The nats of the channels of a pixel are added up. The
            height and the width may be those of a layer.
        titles: List of strings or None. One title for each image, shown above the numbers.
        units: String. "nats" or "bits".
        columns: Integer. Number of images in a row.
        path: String or None. File to save the figure to.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the shapes are not those of images and their maps.
        ImportError: If matplotlib is not installed.

    Example:

    >>> images = np.linspace(0, 1, 128, dtype="float32").reshape(2, 8, 8)
    >>> figure = keras_slashed.attribution.plot_attribution(images, images**2)
    >>> figure.axes[0].get_title().splitlines()
    ['5.29 nats', 'max 0.246']
    """
    check_choice("units", units, tuple(UNITS))
    check_positive_integer("columns", columns)
    images, values = _images(x), _maps(getattr(attribution, "nats", attribution))
    if values.ndim != 3 or len(values) != len(images):
        raise ValueError(
            "A map must have the shape of its images, or that of a layer's output for them: "
            "(N, height, width) or (N, height, width, channels). "
            f"Received: images {images.shape}, map {values.shape}, summed over channels"
        )
    if titles is not None and len(titles) != len(images):
        raise ValueError(
            f"Argument `titles` must have one title for each of the {len(images)} images. "
            f"Received: {len(titles)}"
        )
    if values.shape != images.shape[:3]:
        values = resized(values, images.shape[1:3])
    values = values / UNITS[units]
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = make_figure(figsize=(1.6 * columns, 2.0 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, (image, value, panel) in enumerate(zip(images, values, panels)):
        panel.imshow(overlay(image, value))
        heading = f"{titles[index]}\n" if titles is not None else ""
        panel.set_title(
            f"{heading}{value.sum():.3g} {units}\nmax {value.max():.3g}", fontsize="small"
        )
    for panel in panels:
        panel.set_axis_off()
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def overlay(image, values):
    """Return an image in gray with values over it in red, as an array (height, width, 3).

    Args:
        image: Array of shape `(height, width, channels)`.
        values: Array of shape `(height, width)`. Values of 0 or more.
    """
    grey = image.mean(axis=-1)
    low, high = grey.min(), grey.max()
    grey = (grey - low) / (high - low if high > low else 1.0)
    # Fade the image, so that its pixels cannot be confused with those of the map.
    grey = 0.35 + 0.65 * (1.0 - 0.6 * grey)
    largest = values.max()
    share = np.expand_dims(values / (largest if largest > 0 else 1.0), -1) ** 0.5
    return (1.0 - share) * np.expand_dims(grey, -1) + share * np.asarray(COLOR)


def _maps(nats):
    """Return maps without their channels."""
    nats = np.asarray(keras.ops.convert_to_numpy(nats) if keras.ops.is_tensor(nats) else nats)
    return (nats.sum(axis=-1) if nats.ndim == 4 else nats).astype("float64")


def _images(x):
    x = keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else np.asarray(x)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not len(x):
        raise ValueError(
            "Images must have the shape (N, height, width) or (N, height, width, channels), with "
            f"1 or 3 channels. Received: {x.shape}"
        )
    return x.astype("float64")
