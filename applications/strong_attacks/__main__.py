"""Attack the trained classifiers of Table 1 by more than FGSM.

    python -m applications.strong_attacks --dataset mnist --models runs/table1 --data-dir DIR

FGSM looks weak where a classifier's gradients vanish, or tell little of what lies beyond
the next pixel. Each classifier in the folder that `applications.table1` or
`applications.classifier` wrote is attacked on the first test images by FGSM and by PGD (20
steps, 10 random starts), each on the cross-entropy and on the margin of the logits; a VIB
by gradients averaged over draws, fresh ones in every step. Beside them the share of
images whose gradient is exactly 0. Writes strong_attacks_DATASET.csv row by row, .md and
.png; a killed run goes on with the row that it was at. On one CPU core 1,000 MNIST images
take one to two minutes, with a VIB about four; the cost grows with images, restarts and steps.
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


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/strong_attacks")
    parser.add_images(images.DATASETS)
    parser.add_quiet()
    add, positive = parser.add, command_line.positive
    add("--models", pathlib.Path, pathlib.Path("runs/table1"), metavar="DIR",
        help="output folder of the training")  # fmt: skip
    add("--rows", nargs="+", metavar="ROW",
        help="some rows: base, batch_r0.125, all of instance, ...; else all")  # fmt: skip
    add("--images", positive, 1000, metavar="N", help="the first N test images")
    add("--steps", positive, 20, metavar="N", help="of PGD")
    add("--restarts", positive, 10, metavar="N", help="of PGD")
    add("--step-size", command_line.positive_number, 5.0, metavar="S",
        help="of PGD, in units of eps / steps; 5 does more than 2.5")  # fmt: skip
    add("--attack-seed", command_line.seed, 0, metavar="S", help="of PGD's random starts")
    add("--jobs", positive, 1, metavar="N", help="rows side by side")
    return parser.parse_args(arguments)


def settings(options, data):
    """Return an `AttackSetting` for each trained classifier that is asked for.

    Raises:
        ValueError: A classifier is not there.
    """
    found = find_classifiers(options.models, options.dataset, data.sha256, options.rows)
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
        )
        for classifier, errors in found
    ]


@table_command()
def main(arguments=None):
    """Attack what the command line asks for, and draw it."""
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
        make_runner=row_runner.make_runner,  # each worker has data of its own
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
    if rows:  # not all left to another command
        figure.draw(rows, path.with_suffix(".png"))
        print(f"written to {path.with_suffix('.png')}")


if __name__ == "__main__":
    main()
