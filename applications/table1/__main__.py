"""Make Table 1 of the paper: train all classifiers and attack them.

    python -m applications.table1 --dataset mnist --preset paper --data-dir DIR --jobs 2

The table has 17 rows on MNIST and 16 on CIFAR-10: three normalizations, each at r = 0.125,
0.25, 0.5, 1 and 1.5, the base model, and on MNIST dropout. Preset "paper" uses the paper's
models and 400 epochs. Preset "short" uses 20 epochs on MNIST. On CIFAR-10 it uses 4 epochs of a
ResNet18 of width 16 on the first 10,000 training images and 2,000 test images. The command
writes table1_DATASET.csv row by row, then table1_DATASET.md, which compares with the paper's
numbers, and table1_DATASET.png. The picture also has the rows that earlier commands made at the
same scale. If the command is killed, the same command continues where it stopped.
"""

import dataclasses
import pathlib

from applications.experiment import command_line
from applications.experiment.table_command import table_command
from applications.table1 import figure
from applications.table1.options import add_choices
from applications.table1.options import add_scale
from applications.table1.options import parse_scaled
from applications.table1.presets import table1_rows
from applications.table1.presets import table_name
from applications.table1.row_runner import result_table
from applications.table1.row_runner import run_rows

_DATASETS = ("mnist", "cifar10", "digits")
# Options that override those of the preset.
_CHANGES = (
    "epochs", "batch_size", "width", "dtype_policy", "initializer", "adam_epsilon",
    "relu_amplitude",
)  # fmt: skip


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser("applications.table1", __doc__, "runs/table1")
    parser.add_images(_DATASETS)
    add_scale(parser)
    parser.add_running()
    add = parser.add
    add("--seeds", command_line.seed, [0], metavar="S", help="seeds of each row")
    add("--rows", nargs="+", metavar="ROW",
        help="rows such as base or batch_r0.125, or instance for all its rows (default: all)",
        )  # fmt: skip
    add("--batch-size", command_line.positive, metavar="N", help="batch size (default: 100)")
    add("--width", command_line.positive, metavar="N",
        help="channels of the ResNet18's first stage (default: that of the preset)")  # fmt: skip
    add("--dtype-policy", command_line.dtype_policy, metavar="POLICY",
        help="dtype policy, such as mixed_bfloat16 (default: float32)")  # fmt: skip
    add_choices(parser)
    options = parse_scaled(parser, arguments)
    if options.width is not None and options.dataset != "cifar10":
        parser.error("--width is for the ResNet18 of cifar10")
    known = {name for row in table1_rows(options.dataset, options.preset) for name in _names(row)}
    for name in options.rows or ():
        if name not in known:
            parser.error(f"--rows: {options.dataset} has no row {name!r}, only {sorted(known)}")
    return options


def settings(options):
    """Return the settings of all rows that the options select."""
    return [
        dataclasses.replace(row, seed=seed)
        for seed in options.seeds
        for row in _rows_at_scale(options)
        if options.rows is None or _names(row) & set(options.rows)
    ]


def _rows_at_scale(options):
    changes = command_line.given(options, _CHANGES)
    paper_rows = table1_rows(options.dataset, options.preset)
    return [dataclasses.replace(row, **changes) for row in paper_rows]


def _names(row):
    return {row.row_name, row.short_name}


@table_command()
def main(arguments=None):
    """Run the rows that the command line selects, and plot them."""
    options = parse_arguments(arguments)
    rows = run_rows("applications.table1", settings(options), options)
    table = pathlib.Path(options.output) / f"table1_{table_name(options.dataset)}.csv"
    picture = table.with_suffix(".png")
    if rows:  # there are none if other commands are training all of them
        figure.draw(result_table(table).alike(_rows_at_scale(options), rows[0]), picture)
        print(f"written to {picture}")


if __name__ == "__main__":
    main()
