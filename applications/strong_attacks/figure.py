"""The figure of `applications.strong_attacks`: error against strength for each attack."""

import textwrap

from applications import extras
from applications.attacks.fgsm import EPSILONS
from applications.strong_attacks.report import TITLES
from applications.strong_attacks.report import errors_of
from applications.strong_attacks.report import has_attack
from applications.strong_attacks.report import in_order
from applications.strong_attacks.report import name_of
from applications.strong_attacks.report import standard_error

plt = extras.pyplot()

_MOST_COLUMNS = 3
_TITLE_WIDTH = 40  # characters
_STYLES = {
    "fgsm": ("o-", "tab:blue"),
    "fgsm_margin": ("s--", "tab:cyan"),
    "fgsm_one_draw": ("<:", "tab:purple"),
    "fgsm_posterior_mean": (">-.", "tab:green"),
    "pgd_crossentropy": ("^-", "tab:orange"),
    "pgd_margin": ("v--", "tab:red"),
    "worst": ("D:", "black"),
}


def draw(rows, path):
    """Plot a panel for each row of the table."""
    rows = in_order(rows)
    columns = min(len(rows), _MOST_COLUMNS)
    lines = -(-len(rows) // columns)
    figure, panels = plt.subplots(
        lines,
        columns,
        figsize=(max(4.2 * columns, 6.4), 3.7 * lines + 0.7),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, row in zip(panels.flat, rows):
        table = [float(row[f"table_eps_{eps}"]) for eps in EPSILONS]
        panel.plot(EPSILONS, table, color="0.75", lw=4, label="FGSM on all test images (Table 1)")
        for attack, (style, color) in _STYLES.items():
            if not has_attack(row, attack):
                continue
            errors = errors_of(row, attack)
            deviations = [standard_error(error, row["images"]) for error in errors]
            panel.errorbar(
                EPSILONS, errors, deviations, fmt=style, color=color, mfc="none", lw=1.2,
                ms=9 if attack == "worst" else 5, capsize=2, label=TITLES[attack],
            )  # fmt: skip
        title = textwrap.fill(name_of(row), _TITLE_WIDTH)
        panel.set(title=title, ylim=(0, 102), xticks=EPSILONS)
        panel.grid(alpha=0.3)
    for panel in panels.flat[len(rows) :]:
        panel.set_axis_off()
    for panel in panels[:, 0]:
        panel.set_ylabel("error (%)")
    for panel in panels.flat[max(len(rows) - columns, 0) : len(rows)]:  # the lowest of each column
        panel.set_xlabel("strength of the attack, eps")
        panel.tick_params(labelbottom=True)
    # The panel with most lines has those of all others.
    handles, labels = max(
        (panel.get_legend_handles_labels() for panel in panels.flat), key=lambda both: len(both[1])
    )
    ncols = 3 if columns > 1 else 2
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False)
    images = ", ".join(sorted({row["images"] for row in rows}, key=int))
    figure.suptitle(f"{rows[0]['dataset']}, first {images} test images, ± binomial standard error")
    extras.save(figure, path, dpi=80)  # a panel for each row
