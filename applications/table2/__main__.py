"""Make Table 2 of the paper: train text VAEs, and measure whether they collapse.

    python -m applications.table2 --data ptb --preset paper --data-dir DIR --jobs 2

The table has 17 rows: a plain LSTM language model, the LSTM VAE, KL warm-up and cyclic
annealing, "batch", "instance" and "feature" with a rate committed to 6 nats (for both parts, and
only for the mean), BatchNorm, skip connections, and a decoupled learnable rate that starts from
2, 8, 20, 40 and 80 nats. Preset "paper" uses the paper's 3 layers of width 512 and 400 epochs.
Preset "short" uses one layer of width 128 and 4 epochs. --data is "ptb", "yahoo", or any file
with one document per line, plain, .gz or .xz, which is split 8 : 1 : 1. The command writes
table2_DATA.csv row by row, then table2_DATA.md, which compares with the paper's numbers, and
two pictures, which also have the rows that earlier commands made at the same scale. Logs,
measures and generated texts of each row are in history/, measures/ and texts/. If the command is
killed, the same command continues where it stopped.
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
# At least one token in addition to the special tokens.
_VOCABULARY_SIZE = command_line.integer(len(vocabulary.SPECIAL) + 1)
_CHANGES = ("epochs", "batch_size", "learning_rate", "rate_scale", "test_documents")


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/table2")
    add, positive = parser.add, command_line.positive
    add("--data", default="ptb", metavar="ptb|yahoo|FILE")
    add("--data-dir", metavar="DIR", help="folder that holds ptb/ and yahoo/")
    add("--max-length", positive, metavar="N",
        help="leave out documents with more than N tokens (default: none)")  # fmt: skip
    add("--vocabulary", metavar="FILE",
        help="for a FILE: vocabulary to read, with lines `token number`")  # fmt: skip
    add("--max-size", _VOCABULARY_SIZE, 20_000, metavar="N",
        help="for a FILE: largest size of the vocabulary to build")  # fmt: skip
    parser.add_preset(PRESETS)
    add("--rows", nargs="+", choices=list(VARIANTS), metavar="ROW",
        help=f"rows among {', '.join(VARIANTS)} (default: all)")  # fmt: skip
    add("--seeds", command_line.seed, [0], metavar="S", help="seeds of each row")
    add("--batch-size", positive, metavar="N", help="batch size (default: 32)")
    add("--learning-rate", command_line.positive_number, metavar="R",
        help="peak learning rate of Adam (default: that of the preset)")  # fmt: skip
    add("--rate-scale", command_line.positive_number, metavar="S",
        help="how fast a decoupled rate learns (default: that of the preset)")  # fmt: skip
    add("--test-documents", positive, metavar="N",
        help="number of test documents (default: that of the preset)")  # fmt: skip
    parser.add_running()
    return parser.parse_args(arguments)


def settings(options, dataset):
    """Return the settings of all rows that the options select."""
    return [
        dataclasses.replace(row, seed=seed)
        for seed in options.seeds
        for row in _rows_at_scale(options, dataset)
        if options.rows is None or row.row in options.rows
    ]


def _rows_at_scale(options, dataset):
    changes = command_line.given(options, _CHANGES)
    return [dataclasses.replace(row, **changes) for row in table2_rows(dataset, options.preset)]


@table_command()
def main(arguments=None):
    """Run the rows that the command line selects, and plot them."""
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
        make_runner=row_runner.make_runner,  # each worker loads the data itself
        arguments=(options.data, loading, output, _MODULE, options.checkpoint_seconds),
        name=lambda setting: f"{setting.dataset} {setting.row}, seed {setting.seed}",
        logged=("loss", "latent_rate", "val_loss", "val_latent_rate"),
        summary=lambda row: f"NLL {row['nll']}, KL {row['kl']}, AU {row['au']}, MI {row['mi']}",
        markdown=lambda rows: report.markdown(rows, output, path.name),
    )
    rows = table_runner.run_rows(table, settings(options, data.name), options.jobs, options.quiet)
    if rows:  # there are none if other commands are training all of them
        drawn = table.file.alike(_rows_at_scale(options, data.name), rows[0])
        for picture in figure.draw(drawn, output, data.name):
            print(f"written to {picture}")


if __name__ == "__main__":
    main()
