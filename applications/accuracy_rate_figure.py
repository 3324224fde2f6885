"""The picture of `applications.accuracy_rate`: error against the rate that was reached."""

from applications import extras

plt = extras.pyplot()


_ATTACKS = ("0.0", "0.2")
_STYLES = {
    "beta_vib": ("o-", "tab:blue", "beta-VIB, weighted rate"),
    "batch": ("s--", "tab:orange", 'FixedRateVIB, "batch"'),
    "instance": ("^--", "tab:green", 'FixedRateVIB, "instance"'),
    "feature": ("v--", "tab:red", 'FixedRateVIB, "feature"'),
}


def draw(rows, path):
    """Draw a panel for the clean error and one for the error under attack.

    Args:
        rows: Of the beta-VIB and of FixedRateVIB, dicts of strings.
        path: Where the picture goes.
    """
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for panel, eps in zip(panels, _ATTACKS):
        for name, (style, colour, label) in _STYLES.items():
            chosen = sorted(
                (row for row in rows if row["normalization"] == name),
                key=lambda row: float(row["rate_nats"]),
            )
            x = [float(row["rate_nats"]) for row in chosen]
            y = [float(row[f"eps_{eps}"]) for row in chosen]
            if not chosen:
                continue
            panel.plot(x, y, style, color=colour, ms=5, mfc="none", label=label)
            if name == "beta_vib":
                for row, at in zip(chosen, zip(x, y)):
                    panel.annotate(
                        f"{float(row['beta']):g}",
                        at,
                        xytext=(3, 5),
                        textcoords="offset points",
                        fontsize="x-small",
                        color=colour,
                    )
        panel.set(
            xscale="log",
            xlabel="rate reached in training (nats)",
            title="clean images" if eps == "0.0" else f"under FGSM, eps = {eps}",
        )
        panel.grid(alpha=0.3)
    panels[0].set(ylabel="error on test images (%)", yscale="log")
    panels[1].set_ylim(0, 100)
    panels[1].legend(fontsize="small")
    row = rows[0]
    figure.suptitle(f"{row['dataset']}, {row['epochs']} epochs; numbers in blue: beta")
    figure.savefig(path, dpi=130)
    plt.close(figure)
