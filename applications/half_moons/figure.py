"""The pictures of `applications.half_moons`, from rows of half_moons.csv.

Figure 1 of the paper with a panel of schedules, and the same in words, for the README.
"""

from applications import extras
from applications.experiment.csv_tables import grouped
from applications.experiment.csv_tables import numbers

plt = extras.pyplot()

_ACCURACY, _RATE = "tab:blue", "tab:orange"
_METHODS = {  # label, marker, its size and its color for each method
    "rate": ("FixedRateVIB", "s", 11, _RATE),
    "warmup": ("KLWarmup", "^", 6, "tab:green"),
    "cyclic": ("CyclicalAnnealing", "v", 6, "tab:red"),
    "geco": ("GECO", "D", 6, "tab:purple"),
}


def draw(rows, threshold, path):
    """Plot accuracy and achieved rate against beta and against the set rate, and target rates.

    Args:
        threshold: Float. beta_0, above which the beta-VIB collapses.
    """
    targets = {row["value"] for row in rows if row["tuned"] in ("warmup", "cyclic", "geco")}
    height, count = (9.2, 3) if targets else (6.4, 2)
    figure, panels = plt.subplots(count, 1, figsize=(7, height), layout="constrained")
    if targets:
        _draw_reached(panels[2], [row for row in rows if row["value"] in targets])
    for panel, tuned in zip(panels, ("beta", "rate")):
        chosen = [row for row in rows if row["tuned"] == tuned]
        accuracy_lines = _band(panel, chosen, "accuracy", _ACCURACY, "o-", "accuracy")
        right = panel.twinx()
        rate_lines = _band(right, chosen, "achieved_rate", _RATE, "s--", "achieved rate")
        lines = accuracy_lines + rate_lines
        if tuned == "beta":
            lines.append(
                panel.axvline(
                    threshold, color="0.4", ls=":", label=rf"$\beta_0 = (1-2p)^2 = {threshold:.2g}$"
                )
            )
        panel.set(xscale="log", ylim=(0.45, 1.03), ylabel="accuracy on true labels")
        right.set(ylabel="achieved rate (nats)")
        right.set_yscale("symlog", linthresh=1e-2)
        right.set_ylim(0, 20)
        panel.yaxis.label.set_color(_ACCURACY)
        right.yaxis.label.set_color(_RATE)
        panel.legend(handles=lines, loc="lower left" if tuned == "beta" else "lower right")
    panels[0].set(xlabel=r"$\beta$", title=r"$\beta$-VIB: tuning the KL weight")
    panels[1].set(xlabel="rate (nats)", title="FixedRateVIB: tuning the rate itself")
    extras.save(figure, path)


def draw_in_words(rows, threshold, path):
    """Draw what a reader sets against what the bottleneck then carries: a weight, and a rate."""
    settings = {"font.size": 13, "axes.titlesize": 14, "axes.spines.top": False}
    with plt.rc_context({**settings, "axes.spines.right": False}):
        figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
        _set_and_get(panels[0], rows, "beta", "tab:gray")
        panels[0].axvline(threshold, 0.18, color="0.4", ls=":")  # above the words below
        panels[0].text(threshold, 40, f" {threshold:.2g}", va="top")
        _set_and_get(panels[1], rows, "rate", _RATE)
        panels[0].set(
            xlabel="KL weight that you set",
            ylabel="information that you get\n(nats per example)",
            title="KL weight: some rate comes out",
        )
        panels[1].set(
            xlabel="rate that you set (nats per example)",
            title="FixedRateVIB: you get what you set",
        )
        extras.save(figure, path)


def _set_and_get(panel, rows, tuned, color):
    """Draw the achieved rate against what was set, and write some accuracies next to it."""
    chosen = [row for row in rows if row["tuned"] == tuned]
    groups = {float(value): group for (value,), group in grouped(chosen, "value").items()}
    x = sorted(groups)
    rates = [numbers(groups[value], "achieved_rate").mean() for value in x]
    panel.plot(x, rates, "o-", color=color, ms=6)
    panel.set(xscale="log", yscale="log", ylim=(1.2e-5, 80))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:g}")
    panel.grid(alpha=0.3)
    panel.margins(x=0.1)
    falls = rates[0] > rates[-1]
    for index, side, above in ((0, "left", falls), (-1, "right", not falls)):
        accuracy = numbers(groups[x[index]], "accuracy").mean()
        panel.annotate(
            f"{100 * accuracy:.1f} % correct",
            (x[index], rates[index]),
            (0, 9 if above else -9),
            textcoords="offset points",
            ha=side,
            va="bottom" if above else "top",
        )


def _draw_reached(panel, rows):
    """Plot the rate that each method reached against its target."""
    for tuned, (label, marker, size, color) in _METHODS.items():
        chosen = [row for row in rows if row["tuned"] == tuned]
        x, y = numbers(chosen, "value"), numbers(chosen, "achieved_rate")
        panel.plot(x, y, marker, color=color, ms=size, mfc="none", mew=1.5, label=label)
    low, high = x.min() / 2, x.max() * 2
    panel.plot([low, high], [low, high], ":", color="0.4", label="reached = target")
    panel.set(
        xscale="log",
        yscale="log",
        xlabel="target rate (nats)",
        ylabel="reached rate (nats)",
        title="A target rate: set in FixedRateVIB, or approached by tuning the KL weight",
    )
    panel.title.set_fontsize("medium")
    panel.legend(loc="upper left")


def _band(axes, rows, column, color, style, label):
    """Plot the mean over seeds, and the range over seeds if there are several."""
    groups = {float(value): group for (value,), group in grouped(rows, "value").items()}
    x = sorted(groups)
    values = [numbers(groups[value], column) for value in x]
    lines = axes.plot(x, [v.mean() for v in values], style, color=color, ms=4, label=label)
    if any(len(v) > 1 for v in values):
        low, high = [v.min() for v in values], [v.max() for v in values]
        axes.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
    return lines
