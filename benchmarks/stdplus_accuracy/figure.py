"""The figure of `benchmarks.stdplus_accuracy`: error against x."""

import math

import numpy as np

from applications import extras

plt = extras.pyplot()

# Distinguishable for color-blind readers, and in gray: one dark and thick, one light and thin
_LINES = {
    "Algorithm 1": {"color": "#E69F00", "lw": 1.3, "label": "Algorithm 1 of the paper"},
    "keras_slashed": {"color": "#00436B", "lw": 2.2, "label": "keras_slashed"},
}
_LEFT, _RIGHT, _NEAR = -13.1, 1e8, 1e-4
_TITLES = {"y": "stdplus", "gradient": "its gradient"}
_LEAST = 0.25  # smaller errors are plotted at this value


def bins(per_decade=18):
    """Return the edges of the figure's bins."""
    decades = math.log10(_RIGHT / _NEAR)
    right = np.geomspace(_NEAR, _RIGHT, round(decades * per_decade) + 1)
    # Near 0 the axis is linear; its middle bin holds 0.
    centre = np.linspace(-_NEAR, _NEAR, 22)[1:-1]
    return np.concatenate([-right[right < -_LEFT][::-1], centre, right])


def draw(tallies, edges, dtype, where, path):
    """Plot a panel for stdplus and one for its gradient.

    Args:
        tallies: Dict {(method, quantity): [Tally, ...]} with a `Tally` for each bin.
        edges: Array. Edges of the bins.
        dtype: String. Dtype of the computation, for the title.
        where: String. Backend, mode and device, for the small print.
        path: String or path. File of the figure.
    """
    figure, panels = plt.subplots(2, 1, figsize=(7.5, 6.4), sharex=True, layout="constrained")
    figure.suptitle(f"Largest error of stdplus and of its gradient in {dtype}")
    for panel, quantity in zip(panels, _TITLES):
        for method, style in _LINES.items():
            _draw_line(panel, tallies[method, quantity], edges, style)
        panel.axhline(0.5, color="0.4", ls=":", lw=1)
        panel.text(_RIGHT, 0.52, "rounding alone ", ha="right", va="bottom", color="0.35", size=8)
        panel.set(yscale="log", ylabel="error (ulp)")
        top = 2.0 * panel.get_ylim()[1]
        powers = [10.0**k for k in range(math.ceil(math.log10(top)))]
        panel.set_yticks([_LEAST, *powers], [f"< {_LEAST}", *map(_number, powers)])
        panel.minorticks_off()
        panel.set_ylim(0.8 * _LEAST, top)
        panel.set_title(_TITLES[quantity], loc="left", fontsize=10)
        panel.grid(alpha=0.3)
        panel.legend(loc="upper right", fontsize=9)
    panel.set_xscale("symlog", linthresh=_NEAR, linscale=0.4)
    panel.set_xlim(_LEFT, _RIGHT)
    ticks = [-10, -1, -0.1, 0, 0.1, 1, 10, 100, 1e4, 1e6, 1e8]
    panel.set_xticks(ticks, map(_number, ticks))
    panel.minorticks_off()
    panel.set_xlabel("x")
    figure.text(0.995, 0.005, where, ha="right", va="bottom", color="0.35", size=7)
    extras.save(figure, path)


def _draw_line(panel, tallies, edges, style):
    """Plot one method's errors, and crosses at the top where it returns NaN."""
    errors = [max(t.max_ulp, _LEAST) if t.values else math.nan for t in tallies]
    panel.stairs(errors, edges, baseline=None, **style)
    nan = [(edges[k] + edges[k + 1]) / 2 for k, tally in enumerate(tallies) if tally.wrong]
    if nan:
        top = panel.get_xaxis_transform()
        label = f"{style['label']}: NaN"
        panel.plot(
            nan, [0.95] * len(nan), "x", color=style["color"], mew=2, transform=top, label=label
        )


def _number(value):
    return f"{value:g}" if value < 1e4 else f"1e{math.log10(value):.0f}"
