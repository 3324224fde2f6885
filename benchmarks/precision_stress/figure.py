"""The figure of `benchmarks.precision_stress`: bad steps and the final loss."""

from applications import extras
from applications.experiment.csv_tables import grouped
from benchmarks.precision_stress.model import HEADS
from benchmarks.precision_stress.report import condition
from benchmarks.precision_stress.report import final_loss
from benchmarks.precision_stress.report import percent

plt = extras.pyplot()

_STYLES = dict(
    zip(
        HEADS,
        (  # colors of Okabe and Ito, which color-blind readers can distinguish
            {"color": "#0072B2", "ls": "-", "marker": "o"},
            {"color": "#56B4E9", "ls": "--", "marker": "s"},
            {"color": "#009E73", "ls": "-", "marker": "^"},
            {"color": "#E69F00", "ls": "--", "marker": "v"},
            {"color": "#D55E00", "ls": "-", "marker": "D"},
        ),
    )
)


def draw(rows, path):
    """Plot shares of bad steps and final losses of the stress test against the learning rate."""
    conditions = grouped(rows, "policy", "loss_scaling")
    figure, panels = plt.subplots(
        2,
        len(conditions),
        figsize=(1 + 3.6 * len(conditions), 6),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for (above, below), of_condition in zip(panels.T, conditions.values()):
        for (head,), of_head in grouped(of_condition, "head").items():
            by_rate = grouped(of_head, "learning_rate")
            groups = sorted(by_rate.values(), key=lambda group: float(group[0]["learning_rate"]))
            x = [float(group[0]["learning_rate"]) for group in groups]
            style = {**_STYLES[head], "label": head, "ms": 5, "mfc": "none"}
            above.plot(x, [percent(group, "any") for group in groups], **style)
            below.plot(x, [final_loss(group) for group in groups], **style)
        above.set_title(condition(of_condition[0]))
        above.set_yscale("symlog", linthresh=0.1)
        above.set_ylim(-0.02, 150)
        below.set(xscale="log", yscale="log", xlabel="learning rate")
    panels[0, 0].set_ylabel("bad steps, %")
    panels[1, 0].set_ylabel("final loss, nats")
    handles, labels = {}, []
    for panel in panels[0]:
        handles.update({text: line for line, text in zip(*panel.get_legend_handles_labels())})
    labels = [head for head in HEADS if head in handles]
    figure.legend(
        [handles[head] for head in labels], labels, loc="outside upper center", ncols=len(labels)
    )
    extras.save(figure, path, dpi=110)
