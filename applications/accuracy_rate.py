"""Plot error against rate: a beta-VIB, whose rate is an outcome, next to FixedRateVIB.

    python -m applications.accuracy_rate --dataset mnist --data-dir DIR --output results/short

The command trains the MNIST classifier as a beta-VIB (Alemi et al. 2017) for a range of beta,
and with FixedRateVIB for a range of rates. The latter are rows of Table 1, and the command
takes them from that table's file if they are there. It plots the clean error and the error
under attack against the rate that was reached. It writes beta_vib_DATASET.csv and
table1_DATASET.csv row by row, and accuracy_rate_DATASET.png. If it is killed, the same command
continues where it stopped.
"""

import dataclasses
import pathlib

from applications import extras
from applications.experiment import command_line
from applications.experiment.csv_tables import numbers
from applications.experiment.table_command import table_command
from applications.table1.config import NORMALIZATIONS
from applications.table1.config import default_setting
from applications.table1.presets import table_name
from applications.table1.row_runner import run_rows

plt = extras.pyplot()
ticker = extras.load("matplotlib.ticker")

_ATTACKS = ("0.0", "0.2")
_STYLES = {
    "beta_vib": ("o-", "tab:blue", "beta-VIB, weighted rate"),
    "batch": ("s--", "tab:orange", 'FixedRateVIB, "batch"'),
    "instance": ("^--", "tab:green", 'FixedRateVIB, "instance"'),
    "feature": ("v--", "tab:red", 'FixedRateVIB, "feature"'),
}


def draw(rows, path):
    """Plot the error of the beta-VIB and of FixedRateVIB, clean in a panel, attacked in another."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for panel, eps in zip(panels, _ATTACKS):
        for name, (style, color, label) in _STYLES.items():
            chosen = sorted(
                (row for row in rows if row["normalization"] == name),
                key=lambda row: float(row["rate_nats"]),
            )
            x, y = numbers(chosen, "rate_nats"), numbers(chosen, f"eps_{eps}")
            if not chosen:
                continue
            panel.plot(x, y, style, color=color, ms=5, mfc="none", label=label)
            if name == "beta_vib":
                for row, at in zip(chosen, zip(x, y)):
                    panel.annotate(
                        f"{float(row['beta']):g}",
                        at,
                        xytext=(3, 5),
                        textcoords="offset points",
                        fontsize="x-small",
                        color=color,
                    )
        panel.set(
            xscale="log",
            xlabel="rate reached in training (nats)",
            title="clean images (log scale)" if eps == "0.0" else f"under FGSM, eps = {eps}",
        )
        panel.margins(x=0.1)
        panel.grid(alpha=0.3)
    panels[0].set(ylabel="error on test images (%)", yscale="log")
    panels[0].yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter("")
    panels[1].set_ylim(0, 100)
    panels[1].legend(fontsize="small")
    row = rows[0]
    figure.suptitle(f"{row['dataset']}, {row['epochs']} epochs; numbers in blue: beta")
    extras.save(figure, path)


BETAS = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
MULTIPLIERS = (0.125, 0.25, 0.5, 1.0, 1.5)


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser("applications.accuracy_rate", __doc__, "runs/accuracy_rate")
    parser.add_images(("mnist", "digits"))
    parser.add_first_images()
    parser.add_running()
    add = parser.add
    add("--betas", command_line.nonnegative_number, list(BETAS), metavar="B")
    add("--rate-multipliers", command_line.positive_number, list(MULTIPLIERS), metavar="R",
        help="the rates are R log(10) nats")  # fmt: skip
    add("--normalizations", default=["batch", "instance"], choices=NORMALIZATIONS)
    add("--epochs", command_line.positive, 20, metavar="E", help="Table 1: 400")
    add("--seed", command_line.seed, 0, metavar="S")
    return parser.parse_args(arguments)


def settings(options):
    """Return the settings of the beta-VIB and those of FixedRateVIB."""
    default = dataclasses.replace(
        default_setting(options.dataset), epochs=options.epochs, seed=options.seed
    )
    weighted = [
        dataclasses.replace(default, bottleneck="beta_vib", beta=beta) for beta in options.betas
    ]
    fixed = [
        dataclasses.replace(default, normalization=normalization, rate_multiplier=r)
        for normalization in options.normalizations
        for r in options.rate_multipliers
    ]
    return weighted, fixed


@table_command()
def main(arguments=None):
    """Run the rows that the command line asks for, and plot them."""
    options = parse_arguments(arguments)
    weighted, fixed = settings(options)
    module = "applications.accuracy_rate"
    rows = run_rows(module, weighted, options, "beta_vib", "beta-VIB")
    rows += run_rows(module, fixed, options)
    name = f"accuracy_rate_{table_name(options.dataset)}.png"
    picture = pathlib.Path(options.output) / name
    if rows:  # there are none if other commands are training all of them
        draw(rows, picture)
        print(f"written to {picture}")


if __name__ == "__main__":
    main()
