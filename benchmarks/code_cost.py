"""Measure the time that a code of a latent takes, against bits and cores.

    KERAS_BACKEND=jax python -m benchmarks.code_cost

The command encodes and decodes images of random amplitudes with `keras_slashed.coding`, for each
number of bits of a block, and on each number of processor cores. Each number of cores is that of
a new process, which may run on no others. Each time is the fastest of some rounds, since other
work on the machine can only slow a round down, next to the time that all threads of the process
together spent on a processor. The time does not depend on the rate. The command writes
code_cost_BACKEND_DEVICE.csv and .md.
"""

import math
import os
import time

import keras
import numpy as np

from applications.experiment import csv_tables
from applications.experiment.command_line import integer
from applications.experiment.provenance import describe_run
from applications.experiment.provenance import made_by
from applications.experiment.table_command import table_command
from applications.training.backends import processors
from applications.training.backends import threads
from benchmarks.harness import command_line
from benchmarks.harness import tables
from benchmarks.harness.processes import in_new_process
from keras_slashed.coding import BlockCode
from keras_slashed.ops import normalize_rate

_TEXT = """# Time of a code

Milliseconds to encode and to decode an image of {blocks} blocks of {block_dim} latent dimensions,
on {backend}, {device}, with {images} images at once. "Elapsed" is the fastest of {rounds} rounds,
and "processor" the time that all threads of the process spent in that round. A second core is
worth what "elapsed" falls by. {used}

"""
_BUSY = """Other work on the machine ran at the same time: elapsed times are upper limits."""


def measure_case(case, rounds):
    """Return a dict of the times of a case in milliseconds per image.

    Args:
        case: Dict of the number of cores, bits, blocks, latent dimensions and images.
        rounds: Integer. Number of rounds, of which the fastest counts.
    """
    shape = case["images"], case["blocks"], 2 * case["block_dim"]
    psi = np.random.default_rng(0).normal(size=shape).astype("float32")
    # As trained models have it: narrower than the prior.
    psi[..., case["block_dim"] :] = -np.abs(psi[..., case["block_dim"] :])
    amplitude = normalize_rate(psi, case["bits"] * math.log(2) * 0.8, "instance")
    code = BlockCode(case["bits"])
    indices = code.encode(amplitude, seed=0)  # compiles
    calls = {
        "encode": lambda: code.encode(amplitude, seed=0),
        "decode": lambda: keras.ops.convert_to_numpy(code.decode(indices, case["block_dim"])),
    }
    found = {"threads": threads()}
    for name, call in calls.items():
        call()
        times = [_time(call) for _ in range(rounds)]
        elapsed, processor = min(times)
        found[f"{name}_ms"] = f"{1000 * elapsed / case['images']:.4g}"
        found[f"{name}_processor_ms"] = f"{1000 * processor / case['images']:.4g}"
        middle = sorted(times)[rounds // 2][0]
        found[f"{name}_median_ms"] = f"{1000 * middle / case['images']:.4g}"
    return found


def _time(call):
    """Return the elapsed seconds of a call, and the processor seconds of all threads."""
    elapsed, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - elapsed, time.process_time() - processor


def _on_cores(number, function, *arguments):
    """Return the result of a function in a new process that may run on this many cores."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(mine)[:number])  # the new process inherits it
    try:
        return in_new_process(function, *arguments)
    finally:
        os.sched_setaffinity(0, mine)


def markdown(rows):
    """Return the table of all rows as Markdown."""
    first = rows[0]
    # On a calm machine, one core computes as long as it takes.
    busy = any(
        float(row["encode_ms"]) > 1.3 * float(row["encode_processor_ms"])
        for row in rows
        if row["cores"] == "1"
    )
    text = _TEXT.format(**first, used=_BUSY if busy else "")
    header = ["bits of a block", "bytes of an image", "cores", "encode, elapsed",
              "encode, processor", "decode, elapsed", "decode, processor"]  # fmt: skip
    cells = [
        [
            row["bits"],
            f"{int(row['bits']) * int(row['blocks']) / 8:g}",
            row["cores"],
            row["encode_ms"],
            row["encode_processor_ms"],
            row["decode_ms"],
            row["decode_processor_ms"],
        ]
        for row in sorted(rows, key=lambda row: (int(row["bits"]), int(row["cores"])))
    ]
    return text + csv_tables.markdown_table(header, cells) + f"\n\n{made_by(rows)}\n"


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.code_cost", __doc__, "results/compress")
    add, positive = parser.add, command_line.positive
    add("--bits", integer(1, 24), [8, 10, 12, 14, 16], metavar="B", help="bits of a block")
    add("--cores", positive, [cores for cores in (1, 2) if cores <= processors()], metavar="N")
    add("--blocks", positive, 8, metavar="N", help="blocks of an image")
    add("--block-dim", positive, 4, metavar="K", help="latent dimensions of a block")
    add("--images", positive, 16, metavar="N", help="images that are encoded at once")
    add("--repeats", positive, 5, metavar="N", help="rounds")
    options = parser.parse_args(arguments)
    if max(options.cores) > processors():
        parser.error(f"--cores: this process may run on {processors()}, not {max(options.cores)}")
    return options


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Measure every case that the command line asks for."""
    options = parse_arguments(arguments)
    run = describe_run("benchmarks.code_cost")
    table = tables.table_path(options.output, "code_cost", run)
    for cores in options.cores:
        for bits in options.bits:
            case = {"bits": bits, "cores": cores, "blocks": options.blocks,
                    "block_dim": options.block_dim, "images": options.images}  # fmt: skip
            if not tables.measured_rows(table, case, run):
                times = _on_cores(cores, measure_case, case, options.repeats)
                row = {**case, "rounds": options.repeats, **times, **run}
                tables.replace_rows(table, case, [row])
                print(f"{bits} bits on {cores} cores: {row['encode_ms']} ms to encode, "
                      f"{row['decode_ms']} ms to decode", flush=True)  # fmt: skip
    text = markdown(csv_tables.read_rows(table))
    table.with_suffix(".md").write_text(text)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
