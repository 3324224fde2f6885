"""Attack the trained classifiers of Table 1 with attacks stronger than FGSM.

    python -m applications.strong_attacks --dataset mnist --models runs/table1 --data-dir DIR

FGSM is weak where a classifier's gradients vanish, or where they say little about points
farther away. This command attacks each classifier in the folder that `applications.table1` or
`applications.classifier` wrote. It attacks the first test images by FGSM and by PGD (20 steps,
10 random starts), each on the cross-entropy and on the margin of the logits. For a VIB, the
gradients are averaged over draws, with new draws in every step, and two more attacks by FGSM
show what the draws do: one follows the gradient of a single draw, and one that of the
posterior's mean. The command also counts the images whose gradient is exactly 0. It writes
strong_attacks_DATASET.csv row by row, and .md and .png files with all rows of the table. If it
is killed, the same command continues with the row at which it stopped. On one CPU core, 1,000
MNIST images take one to two minutes, or about four with a VIB. The time grows with the numbers
of images, restarts and steps.
"""

import pathlib
import sys

from applications.datasets import images
from applications.experiment import command_line
from applications.experiment import table_runner
from applications.experiment.resumable_training import RowFiles
from applications.experiment.table_command import table_command
from applications.strong_attacks import figure
from applications.strong_attacks import report
from applications.strong_attacks import row_runner
from applications.strong_attacks.row_runner import STRENGTHS
from applications.strong_attacks.row_runner import AttackSetting
from applications.strong_attacks.trained_classifiers import find_classifiers
from applications.table1.presets import table_name

_MODULE = "applications.strong_attacks"
_WITH_STATISTIC = {"batch", "feature"}  # The others have no moving mean square.


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/strong_attacks")
    parser.add_images(images.DATASETS)
    parser.add_first_images()
    parser.add_quiet()
    add, positive = parser.add, command_line.positive
    add("--models", pathlib.Path, pathlib.Path("runs/table1"), metavar="DIR",
        help="folder with the trained classifiers")  # fmt: skip
    add("--rows", nargs="+", metavar="ROW",
        help="rows such as base or batch_r0.125, or instance for all its rows (default: all)",
        )  # fmt: skip
    add("--images", positive, 1000, metavar="N", help="attack the first N test images")
    add("--steps", positive, 20, metavar="N", help="steps of PGD")
    add("--restarts", positive, 10, metavar="N", help="random starts of PGD")
    add("--step-size", command_line.positive_number, 5.0, metavar="S",
        help="step size of PGD in units of eps / steps; 5 is stronger than 2.5")  # fmt: skip
    add("--attack-seed", command_line.seed, 0, metavar="S", help="seed of PGD's random starts")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="first set the moving mean square of batch and feature to that of the training images",
    )
    add("--rate-factor", command_line.positive_number, 1.0, metavar="F",
        help="attack batch and feature at F times their rate, with their moving mean square "
        "divided by F")  # fmt: skip
    add("--average", default="probabilities", choices=("probabilities", "logits"),
        help="what a classifier with a VIB averages over its draws")  # fmt: skip
    add("--jobs", positive, 1, metavar="N", help="number of rows to attack in parallel")
    return parser.parse_args(arguments)


def settings(options, data):
    """Return an `AttackSetting` for each trained classifier that the options select.

    Raises:
        ValueError: If a classifier is missing, or if none has a moving mean square and an option
            should change it.
    """
    found = find_classifiers(options.models, options.dataset, data.sha256, options.rows)
    rows = [classifier.row_name for classifier, _ in found]
    for name, is_given in (
        ("--calibrate", options.calibrate),
        ("--rate-factor", options.rate_factor != 1.0),
    ):
        if is_given and not _WITH_STATISTIC.intersection(rows):
            raise ValueError(f"{name} is for the rows batch and feature. Received: {rows}")
    return [
        AttackSetting(
            classifier,
            row_runner.checksum(RowFiles(options.models, classifier, data.sha256).model),
            errors,
            images=min(options.images, len(data.y_test)),
            steps=options.steps,
            restarts=options.restarts,
            step_size=options.step_size,
            attack_seed=options.attack_seed,
            calibrated=options.calibrate and classifier.row_name in _WITH_STATISTIC,
            rate_factor=options.rate_factor if classifier.row_name in _WITH_STATISTIC else 1.0,
            average=options.average if classifier.is_stochastic else "probabilities",
        )
        for classifier, errors in found
    ]


@table_command()
def main(arguments=None):
    """Attack the classifiers that the command line selects, and plot the errors."""
    options = parse_arguments(arguments)
    source = command_line.image_source(options)
    try:
        data = images.load(*source)
        attacked = settings(options, data)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    name = f"strong_attacks_{table_name(options.dataset)}"
    path = pathlib.Path(options.output) / f"{name}.csv"
    table = table_runner.Table(
        file=row_runner.result_table(path),
        data_sha256=data.sha256,
        make_runner=row_runner.make_runner,  # each worker loads the data itself
        arguments=(source, options.models, _MODULE),
        name=lambda setting: f"{setting.classifier.short_name}, seed {setting.classifier.seed}",
        logged=(),
        summary=lambda row: (
            "worst error "
            + ", ".join(f"{row[f'worst_eps_{eps}']} at {eps:g}" for eps in STRENGTHS)
            + " %"
        ),
        markdown=lambda rows: report.markdown(rows, path.name),
        unit="restart",
        units=lambda setting: setting.searches,
    )
    rows = table_runner.run_rows(table, attacked, options.jobs, options.quiet)
    if rows:  # there are none if other commands are making all of them
        figure.draw(table.file.rows(), path.with_suffix(".png"))
        print(f"written to {path.with_suffix('.png')}")


if __name__ == "__main__":
    main()
