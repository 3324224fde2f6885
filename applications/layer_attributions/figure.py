"""The figures of `applications.layer_attributions`: criteria by layer, and maps of mosaics."""

import numpy as np

from applications import extras
from applications.experiment.csv_tables import grouped
from applications.experiment.csv_tables import numbers

plt = extras.pyplot()

_PANELS = {
    "deletion": "deletion, lower is better",
    "insertion": "insertion, higher is better",
    "pointing": "pointing game, higher is better",
}
_SHOWN = 2  # mosaics


def draw_criteria(rows, path):
    """Plot each criterion and its standard error against the layer, for rows of layers and maps."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    by_map = grouped(rows, "map")
    figure, panels = plt.subplots(1, len(_PANELS), figsize=(13, 4), layout="constrained")
    for panel, (name, title) in zip(panels, _PANELS.items()):
        for index, ((method,), own) in enumerate(by_map.items()):
            shift = 0.03 * (index - (len(by_map) - 1) / 2)
            panel.errorbar(
                np.arange(len(own)) + shift,
                numbers(own, name),
                numbers(own, f"{name}_error"),
                marker="o",
                capsize=2,
                label=method,
            )
        panel.set(title=title, xticks=range(len(layers)))
        panel.set_xticklabels([_short(layer) for layer in layers], fontsize="small")
        panel.grid(alpha=0.3)
    panels[-1].axhline(0.25, color="gray", linestyle=":")  # chance
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right", fontsize="small")
    extras.save(figure, path)


def draw_mosaics(mosaics, maps, path):
    """Draw the first mosaics, and the maps of each layer by every method.

    Args:
        mosaics: `Mosaics`. A frame marks the quarter that is asked for.
        maps: Dict from `(layer, method)` to an array of shape `(N, height, width)`.
    """
    layers, methods = (list(dict.fromkeys(names)) for names in zip(*maps))
    shown = min(_SHOWN, len(mosaics.x))
    rows = [(index, layer) for index in range(shown) for layer in layers]
    size = 1.6 * (len(methods) + 1), 1.65 * len(rows) + 0.4
    figure, panels = plt.subplots(
        len(rows), len(methods) + 1, figsize=size, layout="constrained", squeeze=False
    )
    height, width = mosaics.x.shape[1:3]
    for (index, layer), (first, *others) in zip(rows, panels):
        picture = (mosaics.x[index] + 1) / 2
        first.imshow(picture, cmap="gray", vmin=0, vmax=1)
        row, column = divmod(int(mosaics.quarter[index]), 2)
        corner = column * width / 2 - 0.5, row * height / 2 - 0.5
        first.add_patch(
            plt.Rectangle(corner, width / 2, height / 2, fill=False, edgecolor="red", linewidth=2)
        )
        first.set_ylabel(_short(layer), fontsize="small")
        for panel, method in zip(others, methods):
            panel.imshow(np.maximum(maps[layer, method][index], 0), cmap="magma", vmin=0)
    for panel, title in zip(panels[0], ["mosaic", *methods]):
        panel.set_title(title.replace(", ", ",\n"), fontsize="small")
    for panel in panels.ravel():
        panel.set(xticks=[], yticks=[])
    extras.save(figure, path)


def _short(layer):
    return layer.replace("_block", "\nblock")
