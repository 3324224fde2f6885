"""Measure the rate of a trained model at inference, for estimates of the mean square.

    KERAS_BACKEND=jax python -m benchmarks.rate_at_inference
    KERAS_BACKEND=jax python -m benchmarks.rate_at_inference --dataset mnist --data-dir DIR

The command trains classifiers with a bottleneck of log(10) nats on scikit-learn's digits, or on
MNIST as in the paper (batches of 100, learning rate 1e-4 with a factor of 0.99 every two
epochs). After some epochs it measures the rate at inference on the training images, divided by
the rate that was set. It does so with the moving mean square for several momenta, with other
estimates, and after `keras_slashed.calibration.calibrate`. For "feature" it also measures the
lowest and the highest share of a latent dimension. Test loss and error use 12 draws. One
training serves all estimates, since only inference reads the moving mean square. The command
writes rate_at_inference_BACKEND_DEVICE.csv training by training, and a Markdown file. If it is
killed, the same command at the same commit continues where it stopped. The digits take about
two minutes. MNIST with 20 epochs in total took 25 minutes on two cores with other work.
"""

import dataclasses
import functools
import math

from applications.datasets import images
from applications.experiment import csv_tables
from applications.experiment.command_line import fill
from applications.experiment.command_line import positive_number
from applications.experiment.csv_tables import grouped
from applications.experiment.csv_tables import numbers
from applications.experiment.provenance import describe_run
from applications.experiment.provenance import made_by
from applications.experiment.table_command import table_command
from applications.experiment.table_runner import Progress
from benchmarks.harness import command_line
from benchmarks.harness import tables
from benchmarks.rate_at_inference.training import Case
from benchmarks.rate_at_inference.training import measured

_DEFAULTS = {
    "digits": {"learning_rates": [1e-2, 1e-3], "epochs": [1, 5, 20, 100], "seeds": 2},
    "mnist": {"learning_rates": [1e-4, 1e-3], "epochs": [1, 5], "seeds": 1},
}
_TRAINING = {
    "digits": {"decay": 1.0, "weight_decay": 0.0, "batch_size": 128},
    "mnist": {"decay": 0.99, "weight_decay": 1e-4, "batch_size": 100},
}
_TEXT = """# The rate at inference

The first number is the rate at inference on the training images, divided by the set rate of log(10)
nats. The value 1 is exact. With "feature", brackets contain the lowest and the highest rate of a
latent dimension, divided by its share of log(10) / K nats. The other numbers are loss (nats) and
error (percent) on the test images, for probabilities averaged over 12 draws. All numbers are means
over the seeds.

"momentum m" is the debiased moving mean square that the layer keeps. "calibrated" is the result of
`keras_slashed.calibration.calibrate` on the training images. The other rows are estimates that the
layer could keep instead. Training uses Adam and batches of {batch_size} of {data}.
"""


def parse_arguments(arguments=None):
    """Return the command line's arguments, with defaults for those that were not given."""
    parser = command_line.make_parser(
        "benchmarks.rate_at_inference", __doc__, "results/rate_at_inference"
    )
    add, positive = parser.add, command_line.positive
    add("--dataset", default="digits", choices=tuple(_DEFAULTS))
    add("--data-dir", metavar="DIR", help="folder with MNIST's four files")
    add("--normalizations", default=["batch", "feature"], choices=("batch", "feature"))
    add("--learning-rates", positive_number, metavar="RATE", nargs="+")
    add("--epochs", positive, metavar="N", nargs="+", help="measure after these epochs")
    add("--seeds", positive, metavar="N", help="seeds 0 to N - 1")
    options = parser.parse_args(arguments)
    return fill(options, _DEFAULTS[options.dataset])


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Train and measure every case that the command line asks for."""
    options = parse_arguments(arguments)
    data = images.load(options.dataset, options.data_dir)
    run = {
        "data": data.source,
        "data_sha256": data.sha256,
        **describe_run("benchmarks.rate_at_inference"),
    }
    table = tables.table_path(options.output, f"rate_at_inference_{options.dataset}", run)
    cases = [
        Case(options.dataset, normalization, learning_rate, seed=seed, **_TRAINING[options.dataset])
        for normalization in options.normalizations
        for learning_rate in options.learning_rates
        for seed in range(options.seeds)
    ]
    progress = Progress(len(cases) * max(options.epochs), seconds=10.0)
    told = math.log(data.num_classes)
    for case in cases:
        columns = dataclasses.asdict(case)
        title = f"{case.normalization}, learning rate {case.learning_rate:g}, seed {case.seed}"
        rows = tables.measured_rows(table, columns, run)
        if {int(row["epochs"]) for row in rows} >= set(options.epochs):
            progress.skip(max(options.epochs))
            progress.say(f"already measured: {title}")
            continue
        step = functools.partial(progress.step, title)
        found = measured(case, data, options.epochs, told, step)
        rows = [{**columns, **_as_text(row), **run} for row in found]
        tables.replace_rows(table, columns, rows)
        progress.say(f"done: {title}")
    text = markdown(csv_tables.read_rows(table))
    table.with_suffix(".md").write_text(text)
    print(f"\n{text}")


def _as_text(row):
    """Return a row with six digits of each float, and "" for a NaN."""
    return {
        name: f"{value:.6g}".replace("nan", "") if isinstance(value, float) else value
        for name, value in row.items()
    }


def markdown(rows):
    """Return a table for each normalization and learning rate, from all rows of a CSV file."""
    text = _TEXT.format(**rows[0])
    for (normalization, rate), group in grouped(rows, "normalization", "learning_rate").items():
        epochs = sorted({row["epochs"] for row in group}, key=int)
        cells = [
            [name, *(_cell(grouped(of_name, "epochs")[(number,)]) for number in epochs)]
            for (name,), of_name in grouped(group, "estimate").items()
        ]
        seeds = ", ".join(sorted({row["seed"] for row in group}))
        text += f'\n## "{normalization}", learning rate {rate}, seed {seeds}\n\n'
        header = ["estimate", *(f"after {number}" for number in epochs)]
        text += csv_tables.markdown_table(header, cells) + "\n"
    return f"{text}\n{made_by(rows)}\n"


def _cell(rows):
    text = f"{numbers(rows, 'ratio').mean():.4f}"
    if rows[0]["lowest_share"]:
        lowest, highest = numbers(rows, "lowest_share").min(), numbers(rows, "highest_share").max()
        text += f" [{lowest:.2f}, {highest:.2f}]"
    loss, error = numbers(rows, "test_loss").mean(), 100.0 * numbers(rows, "test_error").mean()
    return f"{text}; {loss:.3f}, {error:.2f} %"


if __name__ == "__main__":
    main()
