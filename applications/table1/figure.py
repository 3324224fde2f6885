"""The figure of `applications.table1`: error against the strength of the attack."""

import numpy as np

from applications import extras
from applications.attacks.fgsm import EPSILONS
from applications.table1.config import NORMALIZATIONS
from applications.table1.report import differences
from applications.table1.report import errors
from applications.table1.report import groups
from applications.table1.report import paper_errors

plt = extras.pyplot()

_WITHOUT_VIB = {"base": ("black", "s"), "dropout": ("0.5", "D")}


def draw(rows, path):
    """Plot a panel for each normalization, from rows of one scale. All contain base and dropout."""
    found = groups(rows)
    multipliers = sorted({float(group[0]["r"]) for group in found if group[0]["r"]})
    colors = plt.colormaps["viridis"](np.linspace(0.0, 0.9, max(len(multipliers), 1)))
    figure, panels = plt.subplots(
        1, len(NORMALIZATIONS), figsize=(12, 4.6), sharey=True, layout="constrained"
    )
    for panel, normalization in zip(panels, NORMALIZATIONS):
        for group in found:
            row = group[0]
            name = row["normalization"]
            if name in _WITHOUT_VIB:
                _line(panel, group, *_WITHOUT_VIB[name])
            elif name == normalization:
                _line(panel, group, colors[multipliers.index(float(row["r"]))], "o")
        panel.set(title=f'"{normalization}"', xlabel="strength of the attack, eps", ylim=(0, 100))
        panel.set(xticks=EPSILONS, xlim=(EPSILONS[0] - 0.02, EPSILONS[-1] + 0.02))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("error on test images (%)")
    present = {group[0]["normalization"] for group in found}
    handles = [
        plt.Line2D([], [], color=color, marker="o", ms=4, label=f"r = {r:g}")
        for r, color in zip(multipliers, colors)
    ]
    handles += [
        plt.Line2D([], [], color=color, marker=marker, ms=4, label=name)
        for name, (color, marker) in _WITHOUT_VIB.items()
        if name in present
    ]
    if any(paper_errors(row) for row in rows):
        handles.append(plt.Line2D([], [], color="0.3", ls="--", lw=0.8, label="the paper"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(_title(rows))
    extras.save(figure, path)


def _line(panel, group, color, marker):
    mean, deviation = errors(group)
    panel.plot(EPSILONS, mean, color=color, marker=marker, ms=4)
    if deviation is not None:
        panel.fill_between(
            EPSILONS, mean - deviation, mean + deviation, color=color, alpha=0.2, lw=0
        )
    paper = paper_errors(group[0])
    if paper:
        panel.plot(EPSILONS, paper, color=color, ls="--", lw=0.8)


def _title(rows):
    def values(column):
        return ", ".join(sorted({row[column] for row in rows}, key=lambda text: (len(text), text)))

    counts = sorted({len(group) for group in groups(rows)})
    others = max(map(differences, rows), key=len)
    title = ", ".join(filter(None, [f"{values('epochs')} epochs", others]))
    if counts[-1] > 1:
        seeds = " to ".join(dict.fromkeys([str(counts[0]), str(counts[-1])]))
        title += f", {seeds} seeds a row: mean ± standard deviation"
    return f"{values('dataset')} under FGSM, {title}"
