"""Measure the accuracy of stdplus: the largest error in ulp, by region.

    KERAS_BACKEND=jax python -m benchmarks.stdplus_accuracy
    KERAS_BACKEND=jax python -m benchmarks.stdplus_accuracy --exhaustive --jobs 2

The command measures stdplus, log_stdplus, stdplus_inverse and their automatic derivatives, the
paper's Algorithm 1, SciPy and, if it is installed, TensorFlow Probability, in the modes of the
backend:

    jax         jit
    tensorflow  eager, plain, graph (tf.function), xla (tf.function with jit_compile)
    torch       eager, plain, and on request compile (torch.compile)

"eager" runs the fused kernels of keras_slashed. "plain" is eager mode with
keras_slashed.config.disable_kernel_compilation(), which runs operation by operation, as if
nothing could compile the kernels. By default the command measures a random sample of every
region, and writes accuracy_BACKEND.csv and, for float32, accuracy_BACKEND.png. With --exhaustive
it measures every number of float32, float16 and bfloat16, and writes exhaustive_BACKEND.csv. If
that is killed, the same command continues where it stopped. The exact values come from
`benchmarks.stdplus_accuracy.oracle`.

Errors are in ulp of the exact value, over results that are normal numbers. A subnormal result
that was flushed to 0 counts as correct. "wrong" counts unexpected NaNs and infinities, and
missing ones. XLA on a CPU reads subnormal arguments as 0, which affects the inverse.
"""

import collections
import functools
import pathlib

import numpy as np

from applications.experiment import csv_tables
from applications.experiment.command_line import seed
from applications.experiment.provenance import describe_run
from benchmarks.harness import command_line
from benchmarks.harness import frameworks
from benchmarks.harness import tables
from benchmarks.stdplus_accuracy import exhaustive
from benchmarks.stdplus_accuracy import figure
from benchmarks.stdplus_accuracy import oracle as stdplus_oracle
from benchmarks.stdplus_accuracy import regions as stdplus_regions
from benchmarks.stdplus_accuracy import ulps
from benchmarks.stdplus_accuracy.methods import FORWARD
from benchmarks.stdplus_accuracy.methods import INVERSE
from benchmarks.stdplus_accuracy.methods import NAMES
from benchmarks.stdplus_accuracy.methods import missing
from benchmarks.stdplus_accuracy.methods import others
from benchmarks.stdplus_accuracy.methods import ours

DTYPES = ("float32", "float64", "float16", "bfloat16")
_OURS = "keras_slashed"
# Modes that compute the same values are measured once, in the fastest of them.
_EXHAUSTIVE_MODE = {"jax": "jit", "tensorflow": "xla", "torch": "eager"}


@functools.lru_cache(maxsize=2)  # all modes share the sample of a dtype
def judged_sample(inverse, dtype, count, seed):
    """Return a sample of x, and a dict {quantity: (exact, rest)} of its exact values."""
    x = stdplus_regions.sample(inverse, dtype, count, seed)
    return x, exact_values(x, inverse, dtype)


def exact_values(x, inverse, dtype):
    """Return a dict {quantity: (exact, rest)} of float64 arrays that sum to the exact value."""
    if dtype != "float64":
        oracle = stdplus_oracle.inverse if inverse else stdplus_oracle.forward
        return {name: (values, 0.0) for name, values in oracle(x).items()}
    # mpmath has no values at 0 and infinity, where the limits are exact.
    limits = (stdplus_oracle.inverse if inverse else stdplus_oracle.forward)(x)
    single = stdplus_oracle.exact_inverse if inverse else stdplus_oracle.exact_forward
    inner = np.isfinite(x) & (x != 0.0)
    exact = [single(value) for value in x[inner]]
    pairs = {}
    for name, values in limits.items():
        rounded, rest = values.copy(), np.zeros_like(values)
        rounded[inner] = [float(value[name]) for value in exact]
        with np.errstate(invalid="ignore"):
            rest[inner] = [float(value[name] - float(value[name])) for value in exact]
        pairs[name] = (rounded, rest)
    return pairs


def measure_sample(dtype, mode, count, seed=0, bins=None):
    """Measure all methods on a sample.

    Args:
        dtype: String. One of `DTYPES`.
        mode: String. One of `frameworks.MODES`.
        count: Integer. Random numbers in each interval.
        seed: Integer. Seed of the sample.
        bins: Array. Edges of the bins of a picture.

    Returns:
        Dict {(method, quantity): {region: Tally}}, and for the bins a dict
        {(method, quantity): [Tally, ...]}.
    """
    frameworks.forget_compiled()
    methods = {_OURS: ours(dtype, mode), **others(dtype, mode)}
    tallies, binned = collections.defaultdict(dict), {}
    for inverse in (False, True):
        x, exact = judged_sample(inverse, dtype, count, seed)
        edges, names = stdplus_regions.regions(inverse, dtype)
        for method, functions in methods.items():
            for quantity in [name for name in functions if name in exact]:
                computed = functions[quantity](x)
                values, rest = exact[quantity]
                measured = ulps.measure(x, computed, values, dtype, edges, rest)
                regions = tallies[method, quantity]
                for name, tally in zip(names, measured):
                    regions.setdefault(name, ulps.Tally()).add(tally)
                if bins is not None:
                    binned[method, quantity] = ulps.measure(x, computed, values, dtype, bins)[:-1]
    return tallies, binned


def table(tallies, quantities):
    """Return a Markdown table with a row for each region and method.

    Args:
        tallies: Dict {(method, quantity): {region: Tally}}.
        quantities: Sequence of strings. The columns.
    """
    rows = {}
    for (method, quantity), regions in tallies.items():
        if quantity in quantities:
            for region, tally in regions.items():
                rows.setdefault((region, method), {})[quantity] = _cell(tally)
    header = ["region", "method", *(NAMES[quantity] for quantity in quantities)]
    order = list(dict.fromkeys(region for region, _ in rows))
    lines = [
        [region, method, *(cells.get(quantity, "") for quantity in quantities)]
        for (region, method), cells in sorted(
            rows.items(), key=lambda item: order.index(item[0][0])
        )
    ]
    return csv_tables.markdown_table(header, lines)


def _cell(tally):
    if tally.wrong == tally.values:
        return "all wrong"
    text = f"{tally.max_ulp:.3g}" if tally.values > tally.subnormal else "-"
    if tally.max_ulp_subnormal > 1.0:
        text += f" (subnormal {tally.max_ulp_subnormal:.2g})"
    return text + (f" ({100 * tally.wrong / tally.values:.3g}% wrong)" if tally.wrong else "")


def run_sample(options, run):
    """Measure and print what the command line asks for, and plot the figure."""
    output = pathlib.Path(options.output)
    path = output / f"accuracy_{frameworks.BACKEND}.csv"
    edges = figure.bins()
    drawn = False
    for dtype in options.dtypes:
        for mode in options.modes:
            count = options.samples // 256 if dtype == "float64" else options.samples
            tallies, binned = measure_sample(
                dtype, mode, count, options.seed, edges if dtype == "float32" else None
            )
            print(f"\n### {dtype}, {mode}: largest error in ulp\n", flush=True)
            for quantities in (FORWARD, INVERSE):
                print(table(tallies, quantities), "\n", flush=True)
            rows = [
                {
                    "dtype": dtype,
                    "mode": mode,
                    "method": method,
                    "quantity": NAMES[quantity],
                    "region": region,
                    **exhaustive.in_words(tally),
                    **run,
                }
                for (method, quantity), regions in tallies.items()
                for region, tally in regions.items()
            ]
            case = {"dtype": dtype, "mode": mode, "device": run["device"]}
            tables.replace_rows(path, case, rows)
            if binned and not drawn:
                where = f"{run['backend']}, {mode}, {run['device']}"
                picture = path.with_suffix(".png")
                figure.draw(binned, edges, dtype, where, picture)
                drawn = True
    for name in missing():
        print(f"Skipped: {name}, which is not installed")
    print(f"Wrote {path.name}" + (f" and {path.stem}.png" if drawn else ""))


def run_exhaustive(options):
    """Measure every number of the dtypes, and print the tables."""
    for dtype in options.dtypes:
        for mode in options.modes:
            rows = exhaustive.run(dtype, mode, options.output, options.jobs, options.limit)
            if rows is None:
                print(f"{dtype} {mode}: not finished. Run the same command again to continue")
                continue
            columns = ["quantity", "region", "values", "max_ulp", "at", "wrong", "subnormal"]
            print(f"\n### {dtype}, {mode}, every number\n")
            print(csv_tables.markdown_table(columns, [[row[c] for c in columns] for row in rows]))


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.stdplus_accuracy", __doc__)
    parser.add_argument("--exhaustive", action="store_true",
                        help="measure every number instead of a sample")  # fmt: skip
    add, positive = parser.add, command_line.positive
    add("--dtypes", nargs="+", choices=DTYPES,
        help="dtypes (default: all, with --exhaustive all but float64)")  # fmt: skip
    add("--modes", nargs="+", choices=frameworks.MODES,
        help="modes of the backend (default: all but compile, with --exhaustive only "
        f"{_EXHAUSTIVE_MODE.get(frameworks.BACKEND)})")  # fmt: skip
    add("--samples", positive, 2**17, metavar="N",
        help="random numbers in each interval, N / 256 in float64")  # fmt: skip
    add("--seed", seed, 0, metavar="S", help="seed of the random numbers")
    add("--jobs", positive, 1, metavar="N", help="with --exhaustive, compute in N processes")
    add("--limit", positive, metavar="N",
        help="with --exhaustive, pause after N chunks of 2^22 numbers")  # fmt: skip
    options = parser.parse_args(arguments)
    if not options.exhaustive and (options.jobs > 1 or options.limit):
        parser.error("--jobs and --limit require --exhaustive")
    possible = exhaustive.DTYPES if options.exhaustive else DTYPES
    options.dtypes = options.dtypes or possible
    if not set(options.dtypes) <= set(possible):
        parser.error(f"--exhaustive supports only {', '.join(possible)}")
    if options.modes is None:
        options.modes = [mode for mode in frameworks.MODES if mode != "compile"]
        if options.exhaustive:
            options.modes = [_EXHAUSTIVE_MODE[frameworks.BACKEND]]
    return options


def main(arguments=None):
    """Run what the command line asks for."""
    options = parse_arguments(arguments)
    options.modes = frameworks.usable(options.modes)
    if options.exhaustive:
        run_exhaustive(options)
    else:
        run_sample(options, describe_run("benchmarks.stdplus_accuracy"))


if __name__ == "__main__":
    main()
