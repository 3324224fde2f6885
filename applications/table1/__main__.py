"""Make Table 1 of the paper: all classifiers, attacked.

    python -m applications.table1 --dataset mnist --preset paper --data-dir DIR --jobs 2

17 rows on MNIST, 16 on CIFAR-10: three normalizations, each at r = 0.125, 0.25, 0.5, 1
and 1.5, the base model, and on MNIST dropout. Preset "paper" has the paper's models and
its 400 epochs; "short" has 20 epochs on MNIST, and for CIFAR-10 4 epochs of a ResNet18 of
width 16 on the first 10,000 and 2,000 images. Writes table1_DATASET.csv row by row, then
table1_DATASET.md beside the paper's numbers, and table1_DATASET.png; a killed run goes on
where it was.
"""

import dataclasses
import pathlib

from applications.experiment import command_line
from applications.experiment.table_command import table_command
from applications.table1 import figure
from applications.table1.options import add_choices
from applications.table1.presets import PRESETS
from applications.table1.presets import preset_images
from applications.table1.presets import table1_rows
from applications.table1.presets import table_name
from applications.table1.row_runner import run_rows

_DATASETS = ("mnist", "cifar10", "digits")
# Options that take the place of the preset's where they are given.
_CHANGES = (
    "epochs", "batch_size", "dtype_policy", "initializer", "adam_epsilon", "relu_amplitude"
)  # fmt: skip


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("applications.table1", __doc__, _DATASETS, output=None)
    add = parser.add_argument
    add("--preset", choices=PRESETS, default="paper", help="default paper")
    add("--epochs", type=command_line.positive, metavar="E", help="in place of the preset's")
    add("--seeds", nargs="+", type=command_line.seed, default=[0], metavar="S", help="default 0")
    add("--rows", nargs="+", metavar="ROW",
        help="some rows: base, batch_r0.125, all of instance, ... (default: all)")  # fmt: skip
    add("--batch-size", type=command_line.positive, metavar="N", help="default 100")
    add("--dtype-policy", type=command_line.dtype_policy, metavar="POLICY",
        help="like mixed_bfloat16 (default float32)")  # fmt: skip
    add_choices(parser)
    options = command_line.distinct(parser, parser.parse_args(arguments))
    if options.output is None:
        options.output = "runs/table1" if options.preset == "paper" else "runs/table1/short"
    train, test = preset_images(options.dataset, options.preset)
    options.train_images = options.train_images or train
    options.test_images = options.test_images or test
    known = {name for row in table1_rows(options.dataset, options.preset) for name in _names(row)}
    for name in options.rows or ():
        if name not in known:
            parser.error(f"--rows: {options.dataset} has no row {name!r}, only {sorted(known)}")
    return options


def settings(options):
    """Return the settings of all rows that the options ask for."""
    changes = {name: getattr(options, name) for name in _CHANGES}
    changes = {name: value for name, value in changes.items() if value is not None}
    return [
        dataclasses.replace(row, seed=seed, **changes)
        for seed in options.seeds
        for row in table1_rows(options.dataset, options.preset)
        if options.rows is None or _names(row) & set(options.rows)
    ]


def _names(row):
    return {row.row_name, row.short_name}


@table_command()
def main(arguments=None):
    """Run the rows that the command line asks for, and draw them."""
    options = parse_arguments(arguments)
    rows = run_rows("applications.table1", settings(options), options)
    picture = pathlib.Path(options.output) / f"table1_{table_name(options.dataset)}.png"
    if rows:  # not all left to another command
        figure.draw(rows, picture)
        print(f"written to {picture}")


if __name__ == "__main__":
    main()
