"""A table of attacked classifiers: what `table1`, `mnist` and `cifar10` have in common."""

import pathlib
import sys

from applications import datasets
from applications import robustness
from applications import row_loop
from applications import table1_report
from applications.fgsm import EPSILONS
from applications.presets import table_name


def run_rows(module, settings, options, name="table1", title="Table 1"):
    """Run the rows that are not in the table yet, and write table and Markdown.

    Args:
        module: Name of the module that `python -m` runs.
        settings: Of the rows, all on one data set.
        options: Of the command line; see `command_line.make_parser`.
        name: What the names of table and Markdown begin with.
        title: Of the Markdown.

    Returns:
        The rows of the table that belong to the settings, dicts of strings.

    Raises:
        TableError: The table is damaged, or mixed with another backend's rows.
        SystemExit: The data is not at hand; or rows failed, the others being written.
    """
    output = pathlib.Path(options.output)
    dataset = settings[0].dataset
    path = output / f"{name}_{table_name(dataset)}.csv"
    source = dataset, options.data_dir, options.tfds_manual_dir
    try:
        data = datasets.load(*source)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(
        f"{data.name} from {data.source}: {len(data.x_train)} training and "
        f"{len(data.x_test)} test images, sha256 {data.sha256[:12]}"
    )
    table = row_loop.Table(
        file=robustness.result_table(path),
        data_sha256=data.sha256,
        make_runner=robustness.make_runner,  # each worker has data of its own
        arguments=(*source, output, module, options.checkpoint_seconds),
        name=lambda setting: f"{setting.dataset} {setting.short_name}, seed {setting.seed}",
        logged=("loss", "accuracy"),
        summary=lambda row: "error " + ", ".join(row[f"eps_{eps}"] for eps in EPSILONS) + " %",
        markdown=lambda rows: table1_report.markdown(rows, title, path.name),
    )
    del data
    return row_loop.run_rows(table, _by_shape(settings), options.jobs, options.quiet)


def _by_shape(settings):
    """Return settings, those of one shape side by side, so that one compilation serves them."""
    shapes = list(dict.fromkeys(setting.shape() for setting in settings))
    return sorted(settings, key=lambda setting: shapes.index(setting.shape()))
