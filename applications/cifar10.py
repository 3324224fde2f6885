"""Train the paper's CIFAR-10 classifiers and attack them (Table 1, appendix E).

    python -m applications.cifar10 --data-dir DIR --bottleneck vib --normalization batch

The options are those of `applications.classifier`, and the ResNet18's: --width, --stem,
--no-augmentation. Each finished row is written to OUTPUT/table1_cifar10.csv at once and
is not trained again; a killed run continues at its last checkpoint.
`python -m applications.table1 --dataset cifar10` has all of the paper's rows.
"""

from applications.experiment import command_line
from applications.experiment.table_command import table_command
from applications.models.resnet18 import STEMS
from applications.table1.config import default_setting
from applications.table1.row_runner import run_rows

_DEFAULT = default_setting("cifar10")


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser(
        "applications.cifar10", __doc__, ("cifar10", "cifar10_small"), output="runs"
    )
    command_line.add_settings(parser, _DEFAULT)
    add = parser.add_argument
    add("--width", type=command_line.positive, default=_DEFAULT.width, metavar="N",
        help="channels of the first stage (default 64)")  # fmt: skip
    add("--stem", choices=STEMS, default=_DEFAULT.stem, help="default cifar")
    add("--no-augmentation", dest="augment", action="store_false",
        help="train on the images as they are, neither shifted nor mirrored")  # fmt: skip
    return command_line.distinct(parser, parser.parse_args(arguments))


@table_command()
def main(arguments=None):
    """Run the rows that the command line asks for."""
    options = parse_arguments(arguments)
    run_rows("applications.cifar10", command_line.chosen_settings(options, _DEFAULT), options)


if __name__ == "__main__":
    main()
