"""The figures of `applications.table2`: KL against epoch, and the rate of each unit."""

import math

import numpy as np

from applications import extras
from applications.experiment.csv_tables import read_rows
from applications.table2.report import groups
from applications.table2.report import read_measures
from applications.table2.variants import COMMITTED_NATS
from applications.table2.variants import VARIANTS

plt = extras.pyplot()

_ACTIVE = 0.01


def draw(rows, folder, name):
    """Plot both figures for rows of one scale. Of several seeds, only the first is plotted.

    Args:
        folder: Path of the folder that holds `history` and `measures`, and gets the figures.
        name: String. Name of the text.

    Returns:
        List of the figures' paths. It is empty if no row has a z.
    """
    rows = [group[0] for group in groups(rows) if group[0]["kl"]]
    if not rows:
        return []
    paths = folder / f"table2_{name}_kl.png", folder / f"table2_{name}_units.png"
    _draw_kl(rows, folder, paths[0])
    _draw_units(rows, folder, paths[1])
    return list(paths)


def _kind(row):
    variant = VARIANTS[row["row"]]
    if variant.committed is not None:
        return f"committed to {COMMITTED_NATS:g} nats"
    return "decoupled learnable rate" if variant.learnable is not None else "baselines and skip"


def _draw_kl(rows, folder, path):
    kinds = list(dict.fromkeys(map(_kind, rows)))
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(4.6 * len(kinds), 4.6), sharey=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for panel, kind in zip(panels[0], kinds):
        mine = [row for row in rows if _kind(row) == kind]
        colors = plt.colormaps["viridis"](np.linspace(0.0, 0.9, len(mine)))
        for row, color in zip(mine, colors):
            history = read_rows(folder / "history" / f"{row['label']}.csv")
            epochs = [int(line["epoch"]) + 1 for line in history]
            for column, style in (("latent_rate", "-"), ("val_latent_rate", ":")):
                values = [float(line[column]) for line in history]
                label = row["row"] if style == "-" else None
                panel.plot(epochs, values, style, color=color, marker="o", ms=3, label=label)
        if kind.startswith("committed"):
            panel.axhline(COMMITTED_NATS, color="0.5", lw=0.8)
        # The axis covers 0 to 80 nats. It is linear below 1, where collapsed rows are.
        panel.set_yscale("symlog", linthresh=1.0)
        panel.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50, 100])
        panel.yaxis.set_major_formatter("{x:g}")
        panel.set(title=kind, xlabel="epoch", ylim=(-0.05, 400))
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, loc="upper center", ncols=2)
    panels[0, 0].set_ylabel("KL, nats per document (dotted: validation)")
    figure.suptitle(_title(rows))
    extras.save(figure, path, dpi=110)


def _draw_units(rows, folder, path):
    columns = 4
    lines = math.ceil(len(rows) / columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(14, 2.3 * lines), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(rows) :]:
        panel.axis("off")
    for panel, row in zip(panels.flat, rows):
        measures = read_measures(folder, row)
        order = np.argsort(-measures["unit_rates"])
        is_active = measures["unit_variances"][order] > _ACTIVE
        places = np.arange(len(order))
        rates = measures["unit_rates"][order]
        panel.bar(places, rates, color=np.where(is_active, "C0", "0.7"))
        title = f"{row['row']}: {float(row['kl']):.2f} nats, {row['au']} active"
        panel.set_title(title, fontsize=10)
        panel.set_xticks([])
        # A collapsed row must look collapsed, however its small remaining rate is distributed.
        panel.set_ylim(0, max(0.1, 1.05 * rates.max()))
    figure.supxlabel("latent dimensions, sorted by rate (gray: not active)")
    figure.supylabel("rate, nats")
    figure.suptitle(_title(rows))
    extras.save(figure, path, dpi=110)


def _title(rows):
    row = rows[0]
    size = f"{row['num_layers']} x {row['units']}"
    return f"Table 2 on {row['dataset']}: LSTM {size}, {row['epochs']} epochs, seed {row['seed']}"
