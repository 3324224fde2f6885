"""Attack the trained classifiers of Table 1 by more than FGSM.

    python -m applications.strong_attacks --dataset mnist --models runs/table1 --data-dir DIR

FGSM looks weak where a classifier's gradients vanish, or tell little of what lies beyond
the next pixel. Each classifier in the folder that `applications.table1` or
`applications.mnist` wrote is attacked on the first test images by FGSM and by PGD (20
steps, 10 random starts), each on the cross-entropy and on the margin of the logits; a VIB
by gradients averaged over draws, fresh ones in every step. Beside them the share of
images whose gradient is exactly 0. Writes strong_attacks_DATASET.csv row by row, .md and
.png; a killed run goes on with the row that it was at. On one CPU core 1,000 MNIST images
take one to two minutes, with a VIB about four; the cost grows with images, restarts and steps.
"""

import argparse
import pathlib
import sys

from applications import command_line
from applications import datasets
from applications import row_loop
from applications import strong_attacks_figure
from applications import strong_attacks_report
from applications import strong_attacks_row
from applications.presets import table_name
from applications.row_training import RowFiles
from applications.strong_attacks_models import find_classifiers
from applications.strong_attacks_row import STRENGTHS
from applications.strong_attacks_row import AttackSetting
from applications.table_command import table_command

_MODULE = "applications.strong_attacks"


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {_MODULE}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=datasets.DATASETS, default="mnist", help="default mnist")
    add("--models", type=pathlib.Path, default=pathlib.Path("runs/table1"), metavar="DIR",
        help="output folder of the training (default runs/table1)")  # fmt: skip
    add("--rows", nargs="+", metavar="ROW",
        help="some rows: base, batch_r0.125, all of instance, ... (default: all)")  # fmt: skip
    add("--data-dir", metavar="DIR", help="folder with the data set's files")
    add("--tfds-manual-dir", metavar="DIR", help="folder from which tensorflow-datasets takes them")
    add("--output", type=pathlib.Path, default=pathlib.Path("runs/strong_attacks"), metavar="DIR",
        help="folder of table and picture (default runs/strong_attacks)")  # fmt: skip
    add("--images", type=command_line.positive, default=1000, metavar="N",
        help="the first N test images (default 1000)")  # fmt: skip
    add("--steps", type=command_line.positive, default=20, help="of PGD (default 20)")
    add("--restarts", type=command_line.positive, default=10, help="of PGD (default 10)")
    add("--step-size", type=command_line.positive_number, default=5.0, metavar="S",
        help="of PGD, in units of eps / steps (default 5: does more than 2.5)")  # fmt: skip
    add("--attack-seed", type=command_line.seed, default=0,
        help="of PGD's random starts (default 0)")  # fmt: skip
    add("--jobs", type=command_line.positive, default=1, metavar="N", help="rows side by side")
    add("--quiet", action="store_true", help="a line for each row only")
    return command_line.distinct(parser, parser.parse_args(arguments))


def settings(options, data):
    """Return an `AttackSetting` for each trained classifier that is asked for.

    Raises:
        ValueError: A classifier is not there.
    """
    found = find_classifiers(options.models, options.dataset, data.sha256, options.rows)
    return [
        AttackSetting(
            classifier,
            strong_attacks_row.checksum(RowFiles(options.models, classifier, data.sha256).model),
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
    source = options.dataset, options.data_dir, options.tfds_manual_dir
    try:
        data = datasets.load(*source)
        attacked = settings(options, data)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    name = f"strong_attacks_{table_name(options.dataset)}"
    path = options.output / f"{name}.csv"
    table = row_loop.Table(
        file=strong_attacks_row.result_table(path),
        data_sha256=data.sha256,
        make_runner=strong_attacks_row.make_runner,  # each worker has data of its own
        arguments=(*source, options.models, _MODULE),
        name=lambda setting: f"{setting.classifier.short_name}, seed {setting.classifier.seed}",
        logged=(),
        summary=lambda row: (
            "worst error "
            + ", ".join(f"{row[f'worst_eps_{eps}']} at {eps:g}" for eps in STRENGTHS)
            + " %"
        ),
        markdown=lambda rows: strong_attacks_report.markdown(rows, path.name),
        unit="restart",
        units=lambda setting: setting.searches,
    )
    rows = row_loop.run_rows(table, attacked, options.jobs, options.quiet)
    if rows:  # not all left to another command
        strong_attacks_figure.draw(rows, path.with_suffix(".png"))
        print(f"written to {path.with_suffix('.png')}")


if __name__ == "__main__":
    main()
