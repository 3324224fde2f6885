"""Train the paper's MNIST classifiers and attack them (Table 1, appendix E).

    python -m applications.mnist --data-dir DIR --bottleneck vib --normalization batch

Several values after --bottleneck, --normalization, --rate-multiplier or --seed make
several rows in one run. Each finished row is written to OUTPUT/table1_mnist.csv at
once and is not trained again; a killed run continues at its last checkpoint.
`python -m applications.table1` has all of the paper's rows.
"""

from applications import command_line
from applications.robustness_table import run_rows
from applications.setting import default_setting

_DEFAULT = default_setting("mnist")


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser(
        "applications.mnist", __doc__, ("mnist", "digits"), output="runs"
    )
    command_line.add_settings(parser, _DEFAULT)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the rows that the command line asks for."""
    options = parse_arguments(arguments)
    run_rows("applications.mnist", command_line.chosen_settings(options, _DEFAULT), options)


if __name__ == "__main__":
    main()
