"""Train the paper's MNIST classifiers and attack them (Table 1, appendix E).

    python -m applications.classifier --data-dir DIR --bottleneck vib --normalization batch

Several values after --bottleneck, --normalization, --rate-multiplier or --seed make
several rows in one run. Each finished row is written to OUTPUT/table1_mnist.csv at
once and is not trained again; a killed run continues at its last checkpoint.
`python -m applications.table1` has all of the paper's rows.

With --devices N the classifiers are trained on N devices at once, each of which takes its
share of every batch, with the bottleneck's statistics those of the joined batch; rate,
accuracy and time go to OUTPUT/devices_mnist.csv. Without N GPUs the devices are virtual:
they share the processors, and nothing is gained but the example.
"""

from applications.experiment import command_line
from applications.experiment.table_command import table_command
from applications.table1 import data_parallel
from applications.table1.config import default_setting
from applications.table1.row_runner import run_rows

_DEFAULT = default_setting("mnist")


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser(
        "applications.classifier", __doc__, ("mnist", "digits"), output="runs"
    )
    command_line.add_settings(parser, _DEFAULT)
    parser.add_argument(
        "--devices",
        type=command_line.positive,
        metavar="N",
        help="train on N devices at once; the result is not attacked",
    )
    options = command_line.distinct(parser, parser.parse_args(arguments))
    if options.devices is not None:
        if options.jobs > 1:
            parser.error("--devices trains one row after the other, without --jobs")
        if options.batch_size % options.devices:
            parser.error(
                f"--batch-size {options.batch_size} cannot be shared by {options.devices} "
                "devices: it must be a multiple of their number"
            )
    return options


@table_command()
def main(arguments=None):
    """Run the rows that the command line asks for."""
    options = parse_arguments(arguments)
    settings = command_line.chosen_settings(options, _DEFAULT)
    if options.devices is None:
        run_rows("applications.classifier", settings, options)
    else:
        data_parallel.run_rows("applications.classifier", settings, options)


if __name__ == "__main__":
    main()
