"""The pictures of `applications.compress`: rows of images, and curves of bytes."""

import numpy as np

from applications import extras
from applications.experiment.csv_tables import numbers

plt = extras.pyplot()
ticker = extras.load("matplotlib.ticker")

_OURS, _BETA, _CLASSICAL = "tab:blue", "tab:orange", ("tab:green", "tab:red", "tab:purple")


def draw_rows(rows, path):
    """Draw rows of images, each with a text in front.

    Args:
        rows: List of pairs of a text and an array of images in [0, 1]. All rows have the same
            number of images.
        path: String or path. File of the figure.
    """
    count = len(rows[0][1])
    figure, panels = plt.subplots(
        len(rows), count, figsize=(2.4 + 0.8 * count, 0.85 * len(rows)), squeeze=False
    )
    for line, (text, images) in zip(panels, rows):
        for panel, image in zip(line, images):
            panel.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            panel.set_axis_off()
        line[0].text(-0.15, 0.5, text, transform=line[0].transAxes, ha="right", va="center",
                     fontsize=9)  # fmt: skip
    left = 2.3 / (2.4 + 0.8 * count)
    figure.subplots_adjust(left=left, right=0.995, top=0.99, bottom=0.01, wspace=0.06, hspace=0.06)
    extras.save(figure, path)


def draw_curves(rows, title, path):
    """Plot nats and PSNR against the bytes of an image.

    Args:
        rows: List of dicts of strings, the rows of the table.
        title: String. Title of the figure.
        path: String or path. File of the figure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    _draw_models(left, rows, "nats", "posterior_nats")
    _draw_models(right, rows, "psnr", "posterior_psnr")
    names = list(dict.fromkeys(row["method"] for row in rows if row["bytes_alone"]))
    for name, color in zip(names, [*_CLASSICAL, "tab:brown", "black"]):
        _draw_codec(right, [row for row in rows if row["method"] == name], name, color)
    left.set(ylabel="nats of reconstruction per image, lower is better")
    right.set(ylabel="PSNR (dB), higher is better", ylim=_limits(rows))
    for panel in (left, right):
        panel.set(xscale="log", xlabel="bytes per image")
        panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
        panel.grid(alpha=0.3, which="both")
    figure.suptitle(title, fontsize="medium")
    handles = {}
    for panel in (left, right):
        handles |= {text: handle for handle, text in zip(*panel.get_legend_handles_labels())}
    figure.legend(handles.values(), handles, loc="outside right", fontsize="small")
    extras.save(figure, path)


def _draw_models(panel, rows, coded, posterior):
    """Draw the coded draws and the bound of each model, one style for each kind of model."""
    fixed = [row for row in rows if row["method"] == "fixed rate" and row["folded"] == "False"]
    chosen = [row for row in fixed if row["bits_chosen_by"] == "margin"]
    chosen = [row for row in chosen if row[coded]]
    chosen.sort(key=lambda row: float(row["rate"]))
    panel.plot(numbers(chosen, "bytes"), numbers(chosen, coded), "o-", color=_OURS,
               label="fixed rate, decoded, bits_for(rate, margin)")  # fmt: skip
    panel.plot(numbers(chosen, "bound_bytes"), numbers(chosen, posterior), "o:", color=_OURS,
               markerfacecolor="white", label="posterior draws at rate / log 2 bits")  # fmt: skip
    swept = [row for row in fixed if row["bits_chosen_by"] == "sweep"]
    swept.sort(key=lambda row: float(row["bytes"]))
    panel.plot(numbers(swept, "bytes"), numbers(swept, coded), ".-", color="tab:cyan",
               label="the same rate at several bits a block")  # fmt: skip
    beta = [row for row in rows if row["method"] == "beta-VAE"]
    bounds = [row for row in beta if row["bits_chosen_by"] == "equal"]
    bounds.sort(key=lambda row: float(row["bound_bytes"]))
    if bounds:
        x, y = numbers(bounds, "bound_bytes"), numbers(bounds, posterior)
        panel.plot(x, y, "s:", color=_BETA, markerfacecolor="white",
                   label="beta-VAE, posterior draws at mean KL")  # fmt: skip
    for choice, marker, text in (
        ("equal", "x", "beta-VAE, decoded at the bits of the fixed rate"),
        ("quantile", "s", "beta-VAE, decoded, bits of each block for 99 % of its KL"),
    ):
        some = [row for row in beta if row["bits_chosen_by"] == choice and row[coded]]
        if some:
            x, y = numbers(some, "bytes"), numbers(some, coded)
            panel.plot(x, y, marker, color=_BETA, label=text)


def _draw_codec(panel, rows, name, color):
    """Draw a codec with one image a file, and with all images in one file."""
    for column, style, text in (
        ("bytes_alone", "^-", "a file an image"),
        ("bytes", "v--", "all images in one file"),
    ):
        pairs = [(float(row[column]), float(row["psnr"])) for row in rows if row["psnr"] != "inf"]
        if pairs:
            panel.plot(*np.transpose(pairs), style, color=color, label=f"{name}, {text}")
        elif column == "bytes":
            text = f"{name.removesuffix(' lossless')}, lossless, all images in one file"
            panel.axvline(float(rows[0][column]), ls="--", color=color, lw=1, label=text)


def _limits(rows):
    """Return limits of the PSNR that show all of the models."""
    found = numbers([row for row in rows if row["psnr"] not in ("", "inf")], "psnr")
    models = numbers([row for row in rows if row["method"] == "fixed rate"], "psnr")
    return min(models) - 4, min(max(found), max(models) + 8)
