"""The picture of `benchmarks.stdplus_accuracy`: error against x."""

import math

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

# Of Okabe and Ito, told apart by the colour-blind
_COLOURS = {"keras_slashed": "#D55E00", "Algorithm 1": "#0072B2"}
_LEFT, _RIGHT, _NEAR = -13.1, 1e8, 1e-4
_TITLES = {"y": "stdplus", "gradient": "the gradient"}


def bins(per_decade=18):
    """Return the edges of the picture's bins."""
    decades = math.log10(_RIGHT / _NEAR)
    right = np.geomspace(_NEAR, _RIGHT, round(decades * per_decade) + 1)
    # Near 0 the axis is linear; its middle bin holds 0.
    centre = np.linspace(-_NEAR, _NEAR, 22)[1:-1]
    return np.concatenate([-right[right < -_LEFT][::-1], centre, right])


def draw(tallies, edges, device, path):
    """Draw a panel for stdplus and one for its gradient.

    Args:
        tallies: {(method, quantity): a Tally for each bin}.
        edges: Of the bins.
        device: On what it was measured, for the title.
        path: Where the picture goes.
    """
    figure, panels = plt.subplots(2, 1, figsize=(7.5, 6.2), sharex=True, layout="constrained")
    for panel, quantity in zip(panels, _TITLES):
        for method in reversed(_COLOURS):
            colour, binned = _COLOURS[method], tallies[method, quantity]
            # An error of 0 goes below the axis.
            error = [max(t.max_ulp, 1e-9) if t.values else math.nan for t in binned]
            panel.stairs(error, edges, baseline=None, color=colour, lw=1.4, label=method)
            nan = [k for k, t in enumerate(binned) if t.wrong]
            if nan:
                x = [(edges[k] + edges[k + 1]) / 2 for k in nan]
                top = panel.get_xaxis_transform()
                panel.plot(
                    x, [0.95] * len(x), "x", color=colour, transform=top, label=f"{method}: NaN"
                )
        panel.axhline(0.5, color="0.4", ls=":", lw=1)
        panel.text(_RIGHT, 0.5, "rounding alone ", ha="right", va="top", color="0.35", fontsize=8)
        panel.set_yscale("log")
        panel.set_ylim(0.2, None)
        panel.set_ylabel(f"largest error of {_TITLES[quantity]} (ulp)")
        panel.grid(alpha=0.3)
        panel.legend(loc="upper right")
    panel.set_xscale("symlog", linthresh=_NEAR, linscale=0.4)
    panel.set_xlim(_LEFT, _RIGHT)
    ticks = [-10, -1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10, 100, 1e4, 1e6, 1e8]
    panel.set_xticks(ticks, [f"{x:g}" if x < 1e4 else f"1e{math.log10(x):.0f}" for x in ticks])
    panel.minorticks_off()
    panel.set_xlabel("x")
    panels[0].set_title(f"float32, {device}", fontsize=10)
    figure.savefig(path, dpi=130)
    plt.close(figure)
