"""Measure the time of stdplus as a multiple of the framework's own softplus.

    KERAS_BACKEND=jax python -m benchmarks.stdplus_speed --sizes 1e6 1e7

The command times stdplus, log_stdplus, stdplus_inverse, the paper's Algorithm 1, softplus, exp
and a copy in turns, in one process. It times them alone (y from x) and with the gradient (y, and
the product of a given cotangent with the derivative). Each mode is one that a user of the
framework would use:

    jax         jit
    tensorflow  eager, plain, graph (tf.function), xla (tf.function with jit_compile)
    torch       eager, plain, compile (torch.compile, which on a CPU needs a C++ compiler)

"plain" is eager mode with keras_slashed.config.disable_kernel_compilation(), which shows the
time of stdplus if nothing compiles its kernels. "copy" is 2 x. It reads and writes as little as
any function can, and shows the limit of the memory. The command writes speed_BACKEND_DEVICE.csv
case by case, and a picture of it. If it is killed, the same command at the same commit continues
where it stopped.
"""

from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from applications.training.backends import threads
from benchmarks.harness import command_line
from benchmarks.harness import frameworks
from benchmarks.harness import tables
from benchmarks.stdplus_speed import costs
from benchmarks.stdplus_speed import figure
from benchmarks.stdplus_speed.case import PASSES
from benchmarks.stdplus_speed.case import measure

DTYPES = ("float32", "float64", "float16", "bfloat16")
_TABLE = {
    "function": "function",
    "milliseconds": "ms",
    "ratio": "x softplus",
    "quartiles": "quartiles",
    "goal": "goal",
    "least_bytes": "bytes, least",
    "xla_bytes": "bytes, XLA",
    "gigabytes_per_second": "GB/s",
    "share_of_copy": "of copy's",
    "flops": "flops",
    "transcendentals": "transcendentals",
}


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.stdplus_speed", __doc__)
    add, positive = parser.add, command_line.positive
    add("--sizes", positive, [10**6, 10**7], metavar="N",
        help="numbers of elements in the arrays, such as 1e6 or 2^28")  # fmt: skip
    add("--dtypes", default=["float32"], choices=DTYPES, help="dtypes")
    add("--modes", default=frameworks.MODES, choices=frameworks.MODES,
        help="modes of the backend")  # fmt: skip
    add("--threads", positive, metavar="N",
        help="number of CPU threads for torch (default: torch's own choice)")  # fmt: skip
    command_line.add_timing(parser, seconds=30.0)
    options = parser.parse_args(arguments)
    if options.threads and frameworks.BACKEND != "torch":
        parser.error("--threads requires torch. Bind other backends to cores with `taskset`")
    return options


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Measure every case that the command line asks for, and plot the figure."""
    options = parse_arguments(arguments)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    run = describe_run("benchmarks.stdplus_speed")
    table = tables.table_path(options.output, "speed", run)
    seen = []
    for case in _cases(options):
        rows = tables.measured_rows(table, case, run)
        if rows:
            print("\nAlready measured:", *case.values())
        else:
            measured = measure(case, options.repeats, options.seconds)
            rows = [{**row, **run} for row in measured]
            tables.replace_rows(table, case, rows)
        print(case_table(case, rows), flush=True)
        seen += rows
    if not seen:
        raise SystemExit("Nothing was left to measure")
    print(summary(seen))
    figure.draw(csv_tables.read_rows(table), table.with_suffix(".png"))
    print(f"\nWrote {table.name} and {table.stem}.png")


def _cases(options):
    """Yield the requested cases that fit into memory."""
    usable = frameworks.usable(options.modes)
    for dtype in options.dtypes:
        for size in options.sizes:
            for mode in usable:
                needed, free = costs.needed_memory(size, dtype, mode), costs.free_memory()
                if free is not None and needed > free:
                    print(
                        f"Skipped: {dtype}, {size:,} elements, {mode}, which may need "
                        f"{needed / 2**30:.1f} GiB of memory. {free / 2**30:.1f} GiB are free"
                    )
                    continue
                for part in PASSES:
                    case = {"dtype": dtype, "elements": size, "mode": mode, "pass": part}
                    yield {**case, "threads": threads()}


def case_table(case, rows):
    """Return the text to print for one case."""
    title = "{dtype}, {elements:,} elements, {mode}, {pass}, threads: {threads}".format(**case)
    rows = [{**row, "quartiles": f"{row['ratio_low']}-{row['ratio_high']}"} for row in rows]
    cells = [[row[column] for column in _TABLE] for row in rows]
    return f"\n### {title}\n\n" + csv_tables.markdown_table(list(_TABLE.values()), cells)


def summary(rows):
    """Return a table of stdplus alone, with the goals."""
    lines = {}
    for row in rows:
        if row["function"] == "stdplus":
            line = lines.setdefault(tuple(row[key] for key in ("dtype", "elements", "mode")), {})
            goal = f" (goal {row['goal']})" if row["goal"] else ""
            line[row["pass"]] = f"{float(row['ratio']):.2f}{goal}"
    header = ["dtype", "elements", "mode", *PASSES]
    cells = [[*key, *(line.get(part, "") for part in PASSES)] for key, line in lines.items()]
    return "\n### stdplus, x softplus\n\n" + csv_tables.markdown_table(header, cells)


if __name__ == "__main__":
    main()
