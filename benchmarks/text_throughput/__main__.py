"""Measure tokens per second in training the text VAE, and documents per second of its NLL.

    KERAS_BACKEND=jax python -m benchmarks.text_throughput --data FOLDER

Training: The command trains two rows of Table 2 through `model.fit`, the plain VAE and "batch"
with a committed rate. It compares them with the plain VAE written in PyTorch with `nn.LSTM`, if
PyTorch is installed next to the backend. PyTorch runs in a separate process with the same number
of threads, in turns with this one. "Same padding" is the ratio of tokens per second when both
train on the same batches of documents of similar length. "Buckets" is the ratio when PyTorch
trains on random batches, each padded to its longest document. The goals are 1.0 and 1.3. Batches
at even distances in the order of their lengths represent an epoch. The command reports ratios of
wall time and of processor time, which other work on the machine does not lengthen. Frameworks
compare best on one thread (on Linux, put `taskset -c 0` before the command). An end token counts
as a token, while a begin token and padding do not.

NLL: The command measures documents per second and the peak of resident memory for several
numbers of samples, each in a separate process. The goal is that more samples need no more
memory.

The command writes text_throughput_BACKEND_DEVICE.csv, text_nll_BACKEND_DEVICE.csv, and a
Markdown file of both.
"""

import importlib.metadata
import itertools

from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.provenance import made_by
from applications.experiment.table_command import table_command
from applications.training.backends import threads
from benchmarks.harness import command_line
from benchmarks.harness import tables
from benchmarks.text_throughput import batches as text
from benchmarks.text_throughput import nll as nll
from benchmarks.text_throughput import training as training
from benchmarks.text_throughput.torch_worker import torch_is_installed

_GOALS = {"same_padding": 1.0, "buckets": 1.3}
_MEMORY_GOAL = 1.05
# 22 tokens are a document of Penn Treebank and its end token. 10 is the default chunk size.
_NLL_CASE = dict(vocabulary_size=10_002, length=22, batch_size=8, batches=2, chunk_size=10)


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser(
        "benchmarks.text_throughput", __doc__, "results/text_throughput"
    )
    add, positive = parser.add, command_line.positive
    add("--sizes", default=list(training.SIZES), choices=training.SIZES, help="sizes of the models")
    add("--parts", default=["training", "nll"], choices=("training", "nll"), help="measure these")
    add("--data", metavar="FOLDER",
        help="train on Penn Treebank in FOLDER/ptb (default: random documents)")  # fmt: skip
    add("--batch-size", positive, 32, metavar="N", help="train on batches of N documents")
    add("--batches", positive, 16, metavar="N", help="train on N batches in one timing")
    add("--repeats", positive, 5, metavar="N", help="time each training N times")
    add("--samples", positive, [25, 100, 400], metavar="N", help="estimate the NLL with N samples")
    return parser.parse_args(arguments)


def measure_training(options, run):
    """Time the training of each size, and return the path of the table.

    Args:
        options: Namespace that `parse_arguments` returned.
        run: Dict from `applications.experiment.provenance.describe_run`.
    """
    path = tables.table_path(options.output, "text_throughput", run)
    vocabulary, corpus, source = text.load(options.data)
    for size in options.sizes:
        case = {
            "size": size,
            "data": source,
            "vocabulary_size": len(vocabulary),
            "batch_size": options.batch_size,
            "batches": options.batches,
            "threads": threads(),
            "torch": importlib.metadata.version("torch") if torch_is_installed() else "none",
        }
        if not tables.measured_rows(path, case, run):
            print(f"Training with size {size}, compared with PyTorch {case['torch']}", flush=True)
            rows = training.measure(
                size, corpus, vocabulary, options.batch_size, options.batches, options.repeats
            )
            tables.replace_rows(path, case, [{**case, **row, **run} for row in rows])
    return path


def measure_nll(options, run):
    """Measure the NLL at each size, as `measure_training` does the training."""
    path = tables.table_path(options.output, "text_nll", run)
    for size in options.sizes:
        case = {"size": size, **_NLL_CASE, "threads": threads()}
        known = tables.measured_rows(path, case, run)
        if [row["samples"] for row in known] != [str(number) for number in options.samples]:
            print(f"NLL with size {size}", flush=True)
            rows = nll.measure({**case, "model": training.SIZES[size]}, options.samples)
            tables.replace_rows(path, case, [{**case, **row, **run} for row in rows])
    return path


def training_page(rows):
    """Return the Markdown of a table that `measure_training` wrote."""
    keys = [f"{name}_{clock}" for name in training.COMPARISONS for clock in training.CLOCKS]
    header = ["model", "padded to", "padding"]
    header += [f"tokens per {clock} second" for clock in training.CLOCKS]
    header += [f"{key.replace('_', ' ')} (goal {_GOALS[key.rpartition('_')[0]]})" for key in keys]
    plain = ["model", "padded_to", "padding"]
    plain += [f"tokens_per_{clock}_second" for clock in training.CLOCKS]
    title = (
        "Training, size {size}, batches of {batch_size} of {data}, {vocabulary_size} tokens in the "
        "vocabulary, threads: {threads}; {backend}, PyTorch {torch}, {device}"
    )
    return _page(
        title,
        header,
        rows,
        lambda row: [row[key] for key in plain] + [_with_quartiles(row, key) for key in keys],
    )


def nll_page(rows):
    """Return the Markdown of a table that `measure_nll` wrote."""
    columns = {
        "samples": "samples",
        "documents per wall second": "documents_per_wall_second",
        "documents per processor second": "documents_per_processor_second",
        "MiB before": "mib_before",
        "MiB at the peak": "mib_peak",
        f"peak / first peak (goal: at most {_MEMORY_GOAL})": "peak_ratio",
    }
    title = (
        "NLL, size {size}, {batch_size} documents of {length} tokens at once and {chunk_size} "
        "samples of each, {vocabulary_size} tokens in the vocabulary, threads: {threads}; "
        "{backend}, {device}"
    )
    return _page(title, list(columns), rows, lambda row: [row[key] for key in columns.values()])


def _page(title, header, rows, cells):
    groups = itertools.groupby(rows, lambda row: title.format(**row))
    return "\n\n".join(
        f"### {text}\n\n{csv_tables.markdown_table(header, map(cells, group))}"
        for text, group in groups
    )


def _with_quartiles(row, key):
    return f"{row[key]} ({row[key + '_low']}-{row[key + '_high']})" if row[key] else ""


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Measure every case that the command line asks for, and write tables and Markdown."""
    options = parse_arguments(arguments)
    run = describe_run("benchmarks.text_throughput")
    if "training" in options.parts:
        measure_training(options, run)
    if "nll" in options.parts:
        measure_nll(options, run)
    paths = {
        name: tables.table_path(options.output, name, run)
        for name in ("text_throughput", "text_nll")
    }
    pages = [
        f"{page(rows)}\n\n{made_by(rows)}"
        for name, page in (("text_throughput", training_page), ("text_nll", nll_page))
        if (rows := csv_tables.read_rows(paths[name]))
    ]
    page = "\n\n".join(pages) + "\n"
    paths["text_throughput"].with_suffix(".md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
