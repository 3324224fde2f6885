"""The figures of `applications.attributions`: curves and maps."""

import numpy as np

from applications import extras

plt = extras.pyplot()

_SHOWN = 6
_TIMES = ", x difference"
_VERB = {"deletion": "replaced by the mean image", "insertion": "inserted into the blurred image"}


def draw_curves(curves, path):
    """Plot the mean probability of the class against the share of pixels.

    Args:
        curves: Dict `{"deletion": {map: array}, "insertion": {map: array}}` with arrays of shape
            `(N, steps + 1)`.
    """
    figure, panels = plt.subplots(1, 2, figsize=(12, 4.6), sharey=True, layout="constrained")
    for panel, (kind, by_name) in zip(panels, curves.items()):
        methods = dict.fromkeys(map(_method, by_name))
        colors = {name: f"C{index}" for index, name in enumerate(methods)}
        for name, values in by_name.items():
            panel.plot(
                np.linspace(0.0, 1.0, values.shape[1]),
                values.mean(axis=0),
                "--" if name.endswith(_TIMES) else "-",
                color=colors[_method(name)],
                label=name,
            )
        panel.set(title=kind, xlabel=f"share of pixels, {_VERB[kind]}", ylim=(0, 1), xlim=(0, 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("probability of the class")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right", fontsize="small")
    extras.save(figure, path)


def draw_maps(x, maps, path):
    """Draw the first images, and next to each its map by every method.

    Args:
        x: NumPy array of images in [-1, 1].
        maps: Dict from the name of each map to an array of the images' shape.
    """
    maps = {name: values for name, values in maps.items() if not name.endswith(_TIMES)}
    shown = min(_SHOWN, len(x))
    figure, panels = plt.subplots(
        shown,
        len(maps) + 1,
        figsize=(1.5 * (len(maps) + 1), 1.5 * shown + 0.4),
        layout="constrained",
        squeeze=False,
    )
    for row, image in zip(panels, x):
        row[0].imshow((image + 1) / 2, cmap="gray", vmin=0, vmax=1)
    panels[0, 0].set_title("image", fontsize="small")
    for column, (name, values) in enumerate(maps.items(), start=1):
        panels[0, column].set_title(name.replace(", ", ",\n"), fontsize="small")
        for row, value in zip(panels, values[:shown]):
            flat = value.sum(axis=-1) if value.ndim == 3 else value
            row[column].imshow(flat, cmap="magma", vmin=0)
    for panel in panels.ravel():
        panel.set_axis_off()
    extras.save(figure, path)


def _method(name):
    return name.removesuffix(_TIMES)
