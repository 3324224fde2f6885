"""The figure of `benchmarks.stdplus_speed`: ratios to softplus."""

from applications import extras

plt = extras.pyplot()


_COLORS = {  # from Okabe and Ito, distinguishable for color-blind readers
    "stdplus": "#D55E00",
    "log_stdplus": "#E69F00",
    "stdplus_inverse": "#F0E442",
    "Algorithm 1": "#0072B2",
    "TFP lambertw": "#CC79A7",
    "exp": "#009E73",
    "copy": "#999999",
}
_GOAL = {"marker": "D", "ms": 6, "mfc": "white", "mec": "black", "ls": "none", "zorder": 5}


def draw(rows, path):
    """Plot the ratios to softplus, with a row of panels for each size and a panel for each pass."""
    sizes = sorted({int(row["elements"]) for row in rows})
    passes = list(dict.fromkeys(row["pass"] for row in rows))
    groups = list(dict.fromkeys(_group(row) for row in rows))
    names = [name for name in _COLORS if any(row["function"] == name for row in rows)]
    # Next to each other if there is room.
    columns = len(passes) if len(groups) <= 4 else 1
    lines = len(sizes) * len(passes) // columns
    figure, panels = plt.subplots(
        lines,
        columns,
        figsize=(max(10, 1.4 + 1.4 * columns * len(groups)), 1 + 3.2 * lines),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    places = [(size, part) for size in sizes for part in passes]
    for (size, part), panel in zip(places, panels.flat):
        for row in rows:
            if (int(row["elements"]), row["pass"]) == (size, part):
                _draw_bar(panel, row, groups.index(_group(row)), names)
        _label(panel, f"{part}, {size:,} elements", groups)
    _add_legend(figure, rows, names)
    devices = ", ".join(dict.fromkeys(f"{row['backend']} on {row['device']}" for row in rows))
    figure.supxlabel(f"{devices}. Medians; lines: quartiles. Below 1: faster.", fontsize=9)
    extras.save(figure, path, dpi=110)


def _group(row):
    return row["mode"], row["dtype"], row["threads"]


def _draw_bar(panel, row, place, names):
    """Plot one bar up or down from the line of softplus, with its ratio."""
    if row["function"] not in names:
        return
    width = 0.84 / len(names)
    x = place + width * (names.index(row["function"]) - (len(names) - 1) / 2)
    ratio, low, high = (float(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    color = _COLORS[row["function"]]
    panel.bar(x, ratio - 1.0, width, bottom=1.0, color=color, edgecolor="0.3", lw=0.5)
    panel.plot([x, x], [low, high], color="black", lw=1)
    up = ratio >= 1.0
    panel.annotate(
        f"{ratio:#.2g}" if ratio < 10 else f"{ratio:.0f}",
        (x, max(ratio, high) if up else min(ratio, low)),
        xytext=(0, 2 if up else -2),
        textcoords="offset points",
        ha="center",
        va="bottom" if up else "top",
        fontsize=7,
    )
    if row["goal"]:
        panel.plot(x, float(row["goal"]), **_GOAL)


def _label(panel, title, groups):
    several = len({threads for _, _, threads in groups}) > 1
    panel.axhline(1.0, color="black", lw=1.2)
    panel.set(yscale="log", title=title, xlim=(-0.5, len(groups) - 0.5))
    panel.set_xticks(
        range(len(groups)),
        [f"{m}\n{d}" + (f"\nthreads: {t}" if several else "") for m, d, t in groups],
    )
    panel.grid(axis="y", alpha=0.3)
    panel.set_axisbelow(True)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.margins(y=0.12)
    if panel.get_subplotspec().is_first_col():
        panel.set_ylabel("time / softplus' time")


def _add_legend(figure, rows, names):
    handles = [plt.Rectangle((0, 0), 1, 1, fc=_COLORS[n], ec="0.3", lw=0.5) for n in names]
    handles.append(plt.Line2D([], [], color="black", lw=1.2))
    labels = [*names, "softplus = 1"]
    if any(row["goal"] for row in rows):
        handles.append(plt.Line2D([], [], **_GOAL))
        labels.append("goal for stdplus")
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
