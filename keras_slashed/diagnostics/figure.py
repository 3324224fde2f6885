"""The figure of a diagnosis."""

import numpy as np

from keras_slashed.diagnostics.table import verdicts
from keras_slashed.plotting import make_figure

# From Okabe and Ito's palette, which color-blind readers can distinguish. Markers differ too.
_RATE, _GRADIENT = "#0072B2", "#E69F00"
_VERDICTS = {  # color, marker, face
    "holds": ("#0072B2", "o", "#0072B2"),
    "fails": ("#D55E00", "X", "#D55E00"),
    "undecided": ("0.35", "o", "white"),
}
_COLLAPSED = "0.9"
_MOST_LABELS = 40


def draw(diagnosis, errors, path=None):
    """Plot the rate next to the gradient of each latent dimension, and its residual.

    The vertical axes of both panels have a square-root scale, which is proportional to a norm.
    A small rate therefore stays visible next to a large one.

    Args:
        diagnosis: `Diagnosis`. The diagnosis to plot.
        errors: Float. Half the length of an error bar in standard errors.
        path: String or None. File to save the figure to.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    order = np.argsort(-diagnosis.rate, kind="stable")
    width = float(np.clip(3.0 + 0.32 * len(order), 6.4, 12.0))
    figure = make_figure(figsize=(width, 5.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    figure.suptitle(
        rf"At a stationary point $\psi = -G\,/\,2\beta$ (Theorem 5.1); "
        rf"here $\beta$ = {diagnosis.beta:.3g}"
        "\n"
        r"$G$: expected gradient of the reconstruction term by the amplitude $\psi$",
        fontsize="medium",
    )
    position = np.arange(len(order))
    for panel in panels:
        _shade(panel, position[diagnosis.collapsed[order]])
        panel.grid(axis="y", alpha=0.3)
        panel.set_axisbelow(True)
        panel.set_yscale("function", functions=(_signed_root, _signed_square))
    _draw_rates(panels[0], diagnosis, order)
    _draw_residuals(panels[1], diagnosis, order, errors)
    for panel in panels:
        panel.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=5,
            fontsize="small",
            frameon=False,
            borderaxespad=0.1,
            columnspacing=1.2,
        )
    labels = position[:: -(-len(order) // _MOST_LABELS)]
    panels[1].set_xticks(labels, order[labels], fontsize="small")
    panels[1].set(xlabel="latent dimension, by rate", xlim=(-0.6, len(order) - 0.4))
    if path is not None:
        figure.savefig(path, dpi=130)
    return figure


def _shade(panel, positions):
    for position in positions:
        panel.axvspan(position - 0.5, position + 0.5, color=_COLLAPSED, lw=0, zorder=0)


def _draw_rates(panel, diagnosis, order):
    position = np.arange(len(order))
    bars = (
        (-0.2, diagnosis.rate, _RATE, r"rate $|\psi_k|^2$"),
        (0.2, diagnosis.gradient_rate, _GRADIENT, r"gradient $|G_k\,/\,2\beta|^2$"),
    )
    for shift, values, color, label in bars:
        heights = np.maximum(values[order], 0.0)
        panel.bar(position + shift, heights, 0.4, color=color, label=label)
    if diagnosis.collapsed.any():
        panel.bar(position[:1], 0.0, color=_COLLAPSED, label="collapsed")
    panel.set_ylim(bottom=0.0)
    panel.set_ylabel("nats (root scale)")


def _draw_residuals(panel, diagnosis, order, errors):
    edges = np.arange(len(order) + 1) - 0.5
    allowed = diagnosis.allowed[order]
    label = rf"{diagnosis.tolerance:.0%} of the rate or {0.5 * diagnosis.threshold:g}"
    panel.stairs(allowed, edges, baseline=None, color="black", ls="--", lw=1, label=label)
    residual = diagnosis.residual[order]
    reach = errors * np.nan_to_num(diagnosis.standard_error[order])
    found = verdicts(diagnosis)[order]
    for verdict, (color, marker, face) in _VERDICTS.items():
        (chosen,) = np.nonzero(found == verdict)
        if len(chosen):
            style = dict(fmt=marker, color=color, mfc=face, ms=5, elinewidth=1, capsize=2)
            panel.errorbar(chosen, residual[chosen], reach[chosen], label=verdict, **style)
    panel.axhline(0.0, color="black", lw=0.8)
    # All points and the line are visible, but an error bar may exceed the top of the panel.
    top = max(1.5 * residual.max(), 1.5 * allowed.max())
    bottom = min(np.min(residual - reach), -0.02 * top)
    panel.set_ylim(max(bottom, -top), top)
    panel.set_ylabel(f"residual ± {errors:g} errors")


def _signed_root(x):
    return np.sign(x) * np.sqrt(np.abs(x))


def _signed_square(x):
    return np.sign(x) * np.square(x)
