"""Compare ways to a capacity, and what they do for disentanglement.

    python -m applications.disentangle

VAEs with 10 latent dimensions are trained on sprites with five known factors (shape, scale,
orientation, two positions), which NumPy draws: 17,280 images of 32 x 32 pixels. The rows are a VAE,
a beta-VAE, the penalty gamma |KL - C| with a C that grows, with a small gamma and with that of
Burgess et al. (2018), a FixedRateVIB with the same schedule of its rate, with normalization "batch"
and "feature", and a rate that is committed to the last C. The default is a short training, of about
a minute a row on a core; --epochs, --steps and --width make it longer and the model larger.
--dataset dsprites uses dSprites, at half its size, which tensorflow-datasets downloads.

The command writes disentangle_DATASET.csv row by row, then disentangle_DATASET.md,
capacity_DATASET.png (the reached and the asked rate), wake_DATASET.png (the rate of each
dimension in training) and traversals/. If it is killed, the same command continues where it
stopped.
"""

import dataclasses
import json
import pathlib

from applications.disentangle import figure
from applications.disentangle import report
from applications.disentangle import row_runner
from applications.disentangle.config import GAMMAS
from applications.disentangle.config import ROWS
from applications.disentangle.config import SCHEDULED
from applications.disentangle.config import Setting
from applications.disentangle.config import title
from applications.disentangle.data import DATASETS
from applications.disentangle.data import load
from applications.disentangle.sprites import FACTORS
from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment import table_runner
from applications.experiment.table_command import table_command

_MODULE = "applications.disentangle"
_DEFAULT = Setting()


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/disentangle")
    add, positive = parser.add, command_line.positive
    positive_number = command_line.positive_number
    add("--dataset", default=DATASETS[0], choices=DATASETS)
    add("--train-images", positive, metavar="N", help="number of images to train on")
    add("--test-images", command_line.integer(100, expected="an integer of at least 100"), 2000,
        metavar="N", help="number of images to measure")  # fmt: skip
    add("--rows", default=list(ROWS), choices=list(ROWS), metavar="ROW",
        help=f"rows among {', '.join(ROWS)}")  # fmt: skip
    add("--seeds", command_line.seed, [0, 1, 2], metavar="S", help="seeds of each row")
    for name, kind, text in (
        ("epochs", positive, "the schedules change the rate between epochs"),
        ("steps", positive, "training steps in an epoch"),
        ("batch_size", positive, ""),
        ("latent_dim", command_line.integer(2, expected="an integer of at least 2"), ""),
        ("width", positive, "channels of the first convolutions"),
        ("learning_rate", positive_number, "of Adam"),
        ("beta", positive_number, "weight of the KL in the beta-VAE"),
        ("gamma", positive_number, "weight of the penalty, one for each of its rows"),
        ("capacity", positive_number, "the last C, and the committed rate, in nats"),
        ("initial", positive_number, "the first C, in nats"),
        ("warmup", command_line.number(0, 1), "share of the epochs until the last C"),
    ):
        default = list(GAMMAS) if name == "gamma" else getattr(_DEFAULT, name)
        add(f"--{name.replace('_', '-')}", kind, default, help=text, metavar="X")
    parser.add_running()
    return parser.parse_args(arguments)


def settings(options):
    """Return the settings of all rows that the options select, one seed after another."""
    fields = {field.name for field in dataclasses.fields(Setting)} - {"row", "seed", "gamma"}
    given = {name: getattr(options, name) for name in fields}
    return [
        Setting(**given, row=row, gamma=gamma, seed=seed)
        for seed in options.seeds
        for row in options.rows
        for gamma in (options.gamma if row == "penalty" else [_DEFAULT.gamma])
    ]


@table_command()
def main(arguments=None):
    """Run the rows that the command line selects, and plot them."""
    options = parse_arguments(arguments)
    source = options.dataset, options.train_images, options.test_images
    data = load(*source)
    print(
        f"{data.name}, {data.source}: {len(data.x_train)} images to train on and "
        f"{len(data.x_test)} to measure, sha256 {data.sha256[:12]}"
    )
    output = pathlib.Path(options.output)
    path = output / f"disentangle_{options.dataset}.csv"
    table = table_runner.Table(
        file=row_runner.result_table(path),
        data_sha256=data.sha256,
        make_runner=row_runner.make_runner,  # each worker loads the data itself
        arguments=(source, output, _MODULE, options.checkpoint_seconds),
        name=lambda setting: f"{title(setting.columns())}, seed {setting.seed}",
        logged=("reconstruction", "latent_rate"),
        summary=lambda row: f"rate {row['rate']}, MIG {row['mig']}",
        markdown=lambda rows: report.markdown(rows, path.name),
    )
    del data
    rows = table_runner.run_rows(table, settings(options), options.jobs, options.quiet)
    if rows:  # there are none if other commands are training all of them
        draw(rows, output, options.dataset)


def draw(rows, output, dataset):
    """Draw the pictures of rows, from the histories and measures next to their table."""
    histories, first = {}, {}
    for row in rows:
        name = title(row)
        history = csv_tables.read_rows(output / "history" / f"{row['label']}.csv")
        histories.setdefault(name, []).append(history)
        if name not in first:
            measures = output / "measures" / f"{row['label']}.json"
            measures = json.loads(measures.read_text(encoding="utf-8"))
            first[name] = history, measures, int(row["steps"])
    scheduled = {title(row): histories[title(row)] for row in rows if row["row"] in SCHEDULED}
    if scheduled:
        figure.draw_capacity(scheduled, output / f"capacity_{dataset}.png")
    figure.draw_wake(first, list(FACTORS), output / f"wake_{dataset}.png")
    print(f"pictures written to {output}")


if __name__ == "__main__":
    main()
