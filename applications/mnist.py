"""Train the paper's MNIST classifiers and attack them (Table 1, appendix E).

    python -m applications.mnist --data-dir DIR --bottleneck vib --normalization batch

Several values after --bottleneck, --normalization or --rate-multiplier make
several rows in one run. Each finished row is written to OUTPUT/table1_mnist.csv
at once and is not trained again; a killed run continues at its last epoch.
"""

import argparse
import dataclasses
import pathlib
import sys

from applications import datasets
from applications import optimizers
from applications import results
from applications import robustness
from applications.fgsm import EPSILONS
from applications.paper_tables import TABLE1_MNIST
from applications.provenance import describe_run
from keras_slashed.validation import NORMALIZATIONS
from keras_slashed.validation import PARTS


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    default = robustness.Setting()
    parser = argparse.ArgumentParser(
        prog="python -m applications.mnist",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=("mnist", "digits"), default="mnist", help="digits needs no file")
    add("--data-dir", help="folder with the four original MNIST files")
    add("--tfds-manual-dir", help="folder from which tensorflow-datasets takes those files")
    add("--bottleneck", nargs="+", choices=("none", "dropout", "vib"), default=["vib"])
    add("--normalization", nargs="+", choices=NORMALIZATIONS, default=["batch"])
    add("--rate-multiplier", nargs="+", type=float, default=[1.0], metavar="R",
        help="the rate is R log(10) nats (default 1)")  # fmt: skip
    add("--part", choices=PARTS, default=default.part)
    add("--epochs", type=int, default=20, help="default 20; the paper: 400")
    add("--batch-size", type=int, default=default.batch_size, help="default 100")
    add("--seed", nargs="+", type=int, default=[0])
    add("--learning-rate", type=float, default=default.learning_rate)
    add("--weight-decay", type=float, default=default.weight_decay)
    add("--weight-decay-kind", choices=optimizers.WEIGHT_DECAYS,
        default=default.weight_decay_kind, help="default coupled, as PyTorch's Adam")  # fmt: skip
    add("--relu-amplitude", action="store_true", help="a ReLU on the amplitude too")
    add("--momentum", type=float, default=default.momentum, help="of the moving mean square")
    add("--num-samples", type=int, default=default.num_samples,
        help="posterior draws averaged in evaluation (default 12)")  # fmt: skip
    add("--attack-samples", type=int, default=default.attack_samples,
        help="draws averaged in the attacked loss (default 12; 1: a single draw)")  # fmt: skip
    add("--output", default="runs", help="folder of the table and the checkpoints")
    add("--quiet", action="store_true", help="no line for each epoch")
    return parser.parse_args(arguments)


def settings(options):
    """Return the settings of all rows that the options ask for."""
    fields = {field.name for field in dataclasses.fields(robustness.Setting)}
    common = {key: value for key, value in vars(options).items() if key in fields}
    rows = []
    for seed in options.seed:
        for bottleneck in options.bottleneck:
            one = {**common, "seed": seed, "bottleneck": bottleneck}
            if bottleneck != "vib":
                one.update(normalization="batch", rate_multiplier=1.0)
                rows.append(robustness.Setting(**one))
                continue
            for normalization in options.normalization:
                for r in options.rate_multiplier:
                    one.update(normalization=normalization, rate_multiplier=r)
                    rows.append(robustness.Setting(**one))
    return rows


def comparison(rows):
    """Return the rows as a Markdown table beside the paper's numbers."""
    lines = []
    for row in rows:
        paper = (
            TABLE1_MNIST.get((row["normalization"], row["r"]))
            if row["dataset"] == "mnist"
            else None
        )
        cells = [row["normalization"], row["r"], row["epochs"], row["seed"]]
        for index, eps in enumerate(EPSILONS):
            measured = float(row[f"eps_{eps}"])
            difference = f" ({paper[index]:.2f}, {measured - paper[index]:+.2f})" if paper else ""
            cells.append(f"{measured:.2f}{difference}")
        lines.append(cells)
    header = ["row", "r", "epochs", "seed", *(f"eps {eps}" for eps in EPSILONS)]
    return results.markdown_table(header, lines)


def main(arguments=None):
    """Run the rows that the command line asks for."""
    options = parse_arguments(arguments)
    output = pathlib.Path(options.output)
    table = output / f"table1_{options.dataset}.csv"
    try:
        data = datasets.load(options.dataset, options.data_dir, options.tfds_manual_dir)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{data.name} from {data.source}: {len(data.x_train)} training and "
          f"{len(data.x_test)} test images, sha256 {data.sha256[:12]}")  # fmt: skip
    run = describe_run("applications.mnist")
    rows = settings(options)
    for number, setting in enumerate(rows, start=1):
        print(f"\nrow {number} of {len(rows)}: {setting.label()}")
        row = results.find_row(results.read_rows(table), **robustness.columns(setting, data))
        if row is None:
            row = robustness.run(setting, data, output, verbose=0 if options.quiet else 2)
            results.append_row(table, {**row, **run})
        print({name: value for name, value in row.items() if name.startswith(("eps", "rate"))})
    text = (
        f"# Table 1, {options.dataset}\n\nError in percent under FGSM; in brackets the paper's "
        "number (400 epochs) and the difference.\nWhat made each row is in "
        f"`{table.name}`.\n\n{comparison(results.read_rows(table))}\n"
    )
    table.with_suffix(".md").write_text(text)
    print(f"\n{text}\nwritten to {table} and {table.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
