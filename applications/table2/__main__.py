"""Make Table 2 of the paper: text VAEs, and whether they collapse.

    python -m applications.table2 --data ptb --preset paper --data-dir DIR --jobs 2

17 rows: a plain LSTM language model, the LSTM VAE, KL warm-up and cyclic annealing,
"batch", "instance" and "feature" with a rate committed to 6 nats (of both parts, and of the
mean alone), BatchNorm, skip connections, and a decoupled learnable rate from 2, 8, 20, 40
and 80 nats. Preset "paper" has the paper's 3 layers of width 512 and its 400 epochs;
"short" one layer of width 128 and 4 epochs. --data is "ptb", "yahoo", or any file with one
document a line, plain, .gz or .xz, which is split 8 : 1 : 1. Writes table2_DATA.csv row by
row, then table2_DATA.md beside the paper's numbers and two pictures; what each row logged,
measured and wrote lies in history/, measures/ and texts/. A killed run goes on where it was.
"""

import dataclasses
import pathlib
import sys

from applications.datasets import texts
from applications.datasets import vocabulary
from applications.experiment import command_line
from applications.experiment import table_runner
from applications.experiment.table_command import table_command
from applications.table2 import figure
from applications.table2 import report
from applications.table2 import row_runner
from applications.table2.config import PRESETS
from applications.table2.config import table2_rows
from applications.table2.variants import VARIANTS

_MODULE = "applications.table2"
# With room beside the special tokens.
_VOCABULARY_SIZE = command_line.integer(len(vocabulary.SPECIAL) + 1)
_CHANGES = ("epochs", "batch_size", "learning_rate", "test_documents")


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/table2")
    add, positive = parser.add, command_line.positive
    add("--data", default="ptb", metavar="ptb|yahoo|FILE")
    add("--data-dir", metavar="DIR", help="folder that holds ptb/ and yahoo/")
    add("--max-length", positive, metavar="N",
        help="tokens of a document; longer ones are left out, by default none")  # fmt: skip
    add("--vocabulary", metavar="FILE", help="for a FILE: lines `token number`, to be read")
    add("--max-size", _VOCABULARY_SIZE, 20_000, metavar="N",
        help="for a FILE: greatest size of the vocabulary built")  # fmt: skip
    parser.add_preset(PRESETS)
    add("--rows", nargs="+", choices=list(VARIANTS), metavar="ROW",
        help=f"some of: {', '.join(VARIANTS)}; else all")  # fmt: skip
    add("--seeds", command_line.seed, [0], metavar="S")
    add("--batch-size", positive, metavar="N", help="in place of 32")
    add("--learning-rate", command_line.positive_number, metavar="R", help="of Adam, at its peak")
    add("--test-documents", positive, metavar="N", help="how many of the test part")
    parser.add_running()
    return parser.parse_args(arguments)


def settings(options, dataset):
    """Return the settings of all rows that the options ask for."""
    changes = command_line.given(options, _CHANGES)
    return [
        dataclasses.replace(row, seed=seed, **changes)
        for seed in options.seeds
        for row in table2_rows(dataset, options.preset)
        if options.rows is None or row.row in options.rows
    ]


@table_command()
def main(arguments=None):
    """Run the rows that the command line asks for, and draw them."""
    options = parse_arguments(arguments)
    loading = {
        name: getattr(options, name)
        for name in ("data_dir", "max_length", "max_size", "vocabulary")
    }
    try:
        data = texts.load(options.data, **loading)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(f"{data.describe()}; sha256 {data.sha256[:12]}")
    output = pathlib.Path(options.output)
    path = output / f"table2_{data.name}.csv"
    table = table_runner.Table(
        file=row_runner.result_table(path),
        data_sha256=data.sha256,
        make_runner=row_runner.make_runner,  # each worker has data of its own
        arguments=(options.data, loading, output, _MODULE, options.checkpoint_seconds),
        name=lambda setting: f"{setting.dataset} {setting.row}, seed {setting.seed}",
        logged=("loss", "latent_rate", "val_loss", "val_latent_rate"),
        summary=lambda row: f"NLL {row['nll']}, KL {row['kl']}, AU {row['au']}, MI {row['mi']}",
        markdown=lambda rows: report.markdown(rows, output, path.name),
    )
    rows = table_runner.run_rows(table, settings(options, data.name), options.jobs, options.quiet)
    for picture in figure.draw(rows, output, data.name):
        print(f"written to {picture}")


if __name__ == "__main__":
    main()
