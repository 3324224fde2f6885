"""Train classifiers of Table 1 of the paper and attack them (appendix E).

    python -m applications.classifier --dataset mnist --data-dir DIR --normalization batch

The data set decides the model and the defaults: the paper's MLP for MNIST and digits, and its
ResNet18 for CIFAR-10. The ResNet18 has the additional options --width, --stem and
--no-augmentation. Several values after --bottleneck, --normalization, --rate-multiplier or
--seed make several rows in one run. The command writes each finished row to
OUTPUT/table1_DATASET.csv at once and does not train it again. After it is killed, the same
command continues from the last checkpoint. `python -m applications.table1` trains all rows of
the paper.

With --devices N the command trains an MLP on N devices at once. Each device takes its share of
every batch, and the bottleneck computes its statistics over the whole batch. Rate, accuracy
and time go to OUTPUT/devices_DATASET.csv. Without N GPUs the devices are virtual: they share
the processors, so this shows how it works but saves no time.
"""

import argparse

from applications.experiment import command_line
from applications.experiment.table_command import table_command
from applications.table1 import data_parallel
from applications.table1.config import default_setting
from applications.table1.options import add_settings
from applications.table1.options import chosen_settings
from applications.table1.row_runner import run_rows

DATASETS = ("mnist", "cifar10", "digits")
_MODULE = "applications.classifier"


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--dataset", default=DATASETS[0])
    dataset = first.parse_known_args(arguments)[0].dataset
    default = default_setting(dataset if dataset in DATASETS else DATASETS[0])
    parser = command_line.Parser(_MODULE, __doc__, "runs")
    parser.add_images(DATASETS)
    parser.add_first_images()
    parser.add_running()
    add_settings(parser, default)
    if default.model == "mlp":
        parser.add("--devices", command_line.positive, metavar="N",
                   help="train on N devices at once, without an attack")  # fmt: skip
    else:
        parser.set_defaults(devices=None)
    options = parser.parse_args(arguments)
    if options.devices is not None:
        if options.jobs > 1:
            parser.error("--devices trains one row after another and cannot be used with --jobs")
        if options.batch_size % options.devices:
            parser.error(
                f"--batch-size {options.batch_size} cannot be divided among {options.devices} "
                "devices: it must be a multiple of their number"
            )
    return options


@table_command()
def main(arguments=None):
    """Run the rows that the command line asks for."""
    options = parse_arguments(arguments)
    run = run_rows if options.devices is None else data_parallel.run_rows
    run(_MODULE, chosen_settings(options), options)


if __name__ == "__main__":
    main()
