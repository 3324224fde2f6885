"""Measure what an epoch and an attack of Table 1 cost.

    KERAS_BACKEND=jax python -m benchmarks.epoch_time

The command times three things. The first is an epoch of 60,000 images of MNIST's size through
`model.fit`, as in `applications.classifier`, with the callbacks of every epoch, but without
evaluations (20 in a run of any length) and checkpoints (one in 20 s). The second is the same
model in a training loop written by hand in JAX, if JAX is the backend. The third is the attack
on 10,000 images with five strengths and 12 posterior draws. They are compiled first and then
run in turns. The images are random, since the times do not depend on them. The goals are
`model.fit` within 1.1 times the loop, and the attack within two epochs. --processor-time counts
the seconds that the process computes, which other work on the machine does not lengthen. The
command writes epoch_time_BACKEND_DEVICE.csv.
"""

import dataclasses
import tempfile
import time

from applications.datasets.image_data import random_images
from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from applications.table1.config import Setting
from applications.table1.row_runner import RowRunner
from applications.training.backends import threads
from applications.training.epoch_seeds import fit
from benchmarks.harness import command_line
from benchmarks.harness import frameworks
from benchmarks.harness import tables
from benchmarks.harness import timing

_FIT, _LOOP, _ATTACK = "model.fit, one epoch", "JAX loop, one epoch", "attack"
_GOALS = {_LOOP: 1.1, _ATTACK: 2.0}


def calls(data, setting, folder):
    """Return a dict from names to the functions without arguments that are timed."""
    runner = RowRunner(data, folder, "benchmarks.epoch_time")
    compiled = runner.compiled(setting)
    compiled.start(setting)
    monitor, batches = [compiled.rate_monitor], runner.batches(setting)
    found = {_FIT: lambda: fit(compiled.model, batches, setting.seed, monitor)}
    if frameworks.BACKEND == "jax":
        from benchmarks.epoch_time.hand_written_jax import HandWrittenTraining

        found[_LOOP] = HandWrittenTraining(data, setting).train_epoch
    found[_ATTACK] = lambda: compiled.attack(setting)
    return found


def measure_case(case, options):
    """Time a case, and return a row for each of `calls`, without provenance."""
    setting = dataclasses.replace(
        Setting(dataset="random", epochs=1),
        bottleneck=case["bottleneck"],
        batch_size=case["batch_size"],
    )
    data = random_images(case["train_images"], case["test_images"])
    with tempfile.TemporaryDirectory() as folder:
        samples = timing.measure(
            calls(data, setting, folder),
            rounds=options.repeats,
            budget=options.seconds,
            clock=time.process_time if options.processor_time else time.perf_counter,
        )
    compared = {_LOOP: (_FIT, _LOOP), _ATTACK: (_ATTACK, _FIT)}
    rows = []
    for name, seconds in samples.items():
        row = {**case, "what": name, "seconds": f"{timing.spread(seconds).median:.4g}"}
        row |= dict.fromkeys(("ratio_of", "ratio", "ratio_low", "ratio_high", "goal"), "")
        if name in compared:
            this, other = compared[name]
            ratio = timing.ratios(samples, other)[this]
            row |= {
                "ratio_of": f"{this} / {other}",
                "ratio": f"{ratio.median:.3f}",
                "ratio_low": f"{ratio.low:.3f}",
                "ratio_high": f"{ratio.high:.3f}",
                "goal": _GOALS[name],
            }
        rows.append({**row, "rounds": len(seconds)})
    return rows


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.epoch_time", __doc__, "results/epoch_time")
    add, positive = parser.add, command_line.positive
    add("--bottleneck", default=["none", "vib"], choices=("none", "vib"), help="classifiers")
    add("--batch-size", positive, 100, metavar="N", help="train on batches of N images")
    add("--train-images", positive, 60000, metavar="N", help="an epoch has N images")
    add("--test-images", positive, 10000, metavar="N", help="attack N images")
    parser.add_argument("--processor-time", action="store_true",
        help="count processor time, which applies to CPUs only")  # fmt: skip
    command_line.add_timing(parser, seconds=300.0)
    return parser.parse_args(arguments)


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Measure every case that the command line asks for."""
    options = parse_arguments(arguments)
    run = describe_run("benchmarks.epoch_time")
    table = tables.table_path(options.output, "epoch_time", run)
    for bottleneck in options.bottleneck:
        case = {
            "bottleneck": bottleneck,
            "batch_size": options.batch_size,
            "train_images": options.train_images,
            "test_images": options.test_images,
            "threads": threads(),
            "clock": "processor" if options.processor_time else "wall",
        }
        rows = tables.measured_rows(table, case, run)
        if not rows:
            rows = [{**row, **run} for row in measure_case(case, options)]
            tables.replace_rows(table, case, rows)
        title = "bottleneck {bottleneck}, batches of {batch_size}, {clock} time"
        print(f"\n### {title.format(**case)}\n")
        header = ["what", "seconds", "ratio", "quartiles", "goal"]
        cells = [
            [
                row["what"],
                row["seconds"],
                f"{row['ratio_of']} = {row['ratio']}" if row["ratio"] else "",
                f"{row['ratio_low']}-{row['ratio_high']}" if row["ratio"] else "",
                row["goal"],
            ]
            for row in rows
        ]
        print(csv_tables.markdown_table(header, cells), flush=True)


if __name__ == "__main__":
    main()
