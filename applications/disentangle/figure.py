"""The pictures of `applications.disentangle`."""

import itertools

import numpy as np

from applications import extras
from applications.experiment.csv_tables import numbers

plt = extras.pyplot()

_STYLES = (("tab:orange", "^"), ("tab:red", "v"), ("tab:blue", "o"), ("tab:green", "s"))


def draw_capacity(histories, path):
    """Plot the reached rate against the asked one, and the distance between them.

    Args:
        histories: Dict from the title of a scheduled row to a list of histories, one for each seed.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    last = 0.0
    for (name, of_seeds), (color, marker) in zip(histories.items(), itertools.cycle(_STYLES)):
        for seed, history in enumerate(of_seeds):
            asked = numbers(history, "latent_target_rate")
            reached = numbers(history, "latent_rate")
            options = {"color": color, "alpha": 0.7, "label": None if seed else name}
            left.plot(asked, reached, marker, ms=5, mfc="none", **options)
            # A rate that is exact to the last bit would have no place on a logarithmic axis.
            miss = np.maximum(np.abs(reached - asked), 1e-8)
            right.plot(asked, miss, f"{marker}-", ms=4, lw=0.8, **options)
            last = max(last, asked.max(), reached.max())
    left.plot([0, last], [0, last], ":", color="0.4", label="reached = asked")
    left.set(xlabel="asked rate C (nats)", ylabel="reached rate, mean of an epoch (nats)")
    right.set(xlabel="asked rate C (nats)", ylabel="|reached - asked| (nats)", yscale="log")
    left.legend()
    right.grid(alpha=0.3)
    extras.save(figure, path)


def draw_wake(rows, names, path):
    """Plot the rate of each latent dimension against the training steps, with a panel for each row.

    Args:
        rows: Dict from the title of a row to a tuple of its history, its measures (a dict of
            lists), and the number of steps in an epoch.
        names: Sequence of strings. Names of the factors.
    """
    figure, panels = plt.subplots(
        2, -(-len(rows) // 2), figsize=(12, 6.4), sharex=True, layout="constrained", squeeze=False
    )
    colors = plt.colormaps["tab10"]
    for panel, (row, (history, measures, steps)) in zip(panels.ravel(), rows.items()):
        step = steps * (1 + numbers(history, "epoch"))
        best = _factors_of(measures)
        for k, factor in enumerate(best):
            color = "0.75" if factor is None else colors(factor)
            panel.plot(step, numbers(history, f"unit{k}_rate"), color=color, lw=1.4)
        panel.set_title(row, fontsize="medium")
        panel.set(xlabel="training step", ylabel="rate of a dimension (nats)")
        panel.tick_params(labelbottom=True)  # there may be nothing below it
        panel.grid(alpha=0.3)
    for panel in panels.ravel()[len(rows) :]:
        panel.set_axis_off()
    handles = [plt.Line2D([], [], color=colors(f), label=name) for f, name in enumerate(names)]
    handles.append(plt.Line2D([], [], color="0.75", label="none"))
    figure.legend(
        handles=handles,
        title="the factor that a dimension knows most of, at the end",
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
    )
    extras.save(figure, path)


def draw_traversals(images, measures, names, path):
    """Draw what the decoder makes of each latent dimension, with the highest rate first.

    Args:
        images: Array (K, steps, 32, 32) of pixels from 0 to 1.
        measures: Dict of lists. Measures of the row.
        names: Sequence of strings. Names of the factors.
    """
    rates = np.array(measures["unit_rates"])
    best = _factors_of(measures)
    size, steps = images.shape[:2]
    figure, panels = plt.subplots(size, 1, figsize=(6, 0.62 * size), layout="constrained")
    for panel, k in zip(panels, np.argsort(-rates)):
        strip = np.concatenate(list(images[k]), axis=1)
        panel.imshow(strip, cmap="gray", vmin=0, vmax=1, aspect="equal")
        name = "" if best[k] is None else f"\n{names[best[k]]}"
        panel.set_ylabel(
            f"{rates[k]:.2f}{name}", rotation=0, ha="right", va="center", fontsize="small"
        )
        panel.set(xticks=[], yticks=[])
    panels[0].set_title(f"rate in nats; values from the left to the right, {steps} of them",
                        fontsize="small")  # fmt: skip
    extras.save(figure, path, dpi=90)


def _factors_of(measures):
    """Return the factor that each dimension knows the largest share of, None below a tenth."""
    shares = np.array(measures["information_of_draws"]) / np.array(measures["entropies"])
    return [int(share.argmax()) if share.max() > 0.1 else None for share in shares]
