"""How exact stdplus is: the largest error in ulp, by region.

    KERAS_BACKEND=jax python -m benchmarks.stdplus_accuracy
    KERAS_BACKEND=jax python -m benchmarks.stdplus_accuracy --exhaustive --jobs 2

Judges stdplus, log_stdplus, stdplus_inverse and their automatic derivatives, the
paper's Algorithm 1, SciPy and, where it is installed, TensorFlow Probability, in
each mode of the backend: jit on jax; eager and xla on tensorflow; eager and, if asked
for, compile on torch. Without a flag, on a random sample of every region
(accuracy_BACKEND.csv and accuracy.png); with --exhaustive, on every number of
float32, float16 and bfloat16 (exhaustive_BACKEND.csv); a killed run goes on where it
was. The exact values are those of `benchmarks.stdplus_oracle`.

Errors count in ulp of the exact value, over results that are normal numbers. A
subnormal result that became 0 counts as right. "wrong" counts NaN and infinities
that should not be, and numbers that should be one; XLA on a CPU reads subnormal
arguments as 0, which shows for the inverse.
"""

import argparse
import collections
import pathlib

import numpy as np

from applications import results
from applications.provenance import describe_run
from benchmarks import stdplus_exhaustive
from benchmarks import stdplus_methods
from benchmarks import stdplus_oracle
from benchmarks import stdplus_regions
from benchmarks import timing
from benchmarks import ulps

DTYPES = ("float32", "float64", "float16", "bfloat16")
_OURS = "keras_slashed"


def exact_values(x, inverse, dtype):
    """Return {quantity: (exact, rest)}: float64 arrays whose sum is the exact value."""
    if dtype != "float64":
        oracle = stdplus_oracle.inverse if inverse else stdplus_oracle.forward
        return {name: (values, 0.0) for name, values in oracle(x).items()}
    # Of 0 and infinity, where mpmath has no values, the limits are exact.
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
        dtype: One of `DTYPES`.
        mode: One of `stdplus_methods.MODES`.
        count: Random numbers in each interval.
        seed: Of the sample.
        bins: Edges of a picture's bins.

    Returns:
        {(method, quantity): {region: Tally}}, and of the bins
        {(method, quantity): [Tally, ...]}.
    """
    methods = {_OURS: stdplus_methods.ours(dtype, mode), **stdplus_methods.others(dtype, mode)}
    tallies, binned = collections.defaultdict(dict), {}
    for inverse in (False, True):
        x = stdplus_regions.sample(inverse, dtype, count, seed)
        exact = exact_values(x, inverse, dtype)
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
    """Return a table in Markdown: a row for each region and method.

    Args:
        tallies: {(method, quantity): {region: Tally}}.
        quantities: The columns.
    """
    rows = {}
    for (method, quantity), regions in tallies.items():
        if quantity in quantities:
            for region, tally in regions.items():
                rows.setdefault((region, method), {})[quantity] = _cell(tally)
    header = ["region", "method", *(stdplus_methods.NAMES[quantity] for quantity in quantities)]
    order = list(dict.fromkeys(region for region, _ in rows))
    lines = [
        [region, method, *(cells.get(quantity, "") for quantity in quantities)]
        for (region, method), cells in sorted(
            rows.items(), key=lambda item: order.index(item[0][0])
        )
    ]
    return results.markdown_table(header, lines)


def _cell(tally):
    if tally.wrong == tally.values:
        return "all wrong"
    text = f"{tally.max_ulp:.3g}" if tally.values > tally.subnormal else "-"
    if tally.max_ulp_subnormal > 1.0:
        text += f" (subnormal {tally.max_ulp_subnormal:.2g})"
    return text + (f" ({100 * tally.wrong / tally.values:.3g}% wrong)" if tally.wrong else "")


def run_sample(options, run):
    """Measure and print what the command line asks for, and draw the picture."""
    from benchmarks import stdplus_accuracy_figure as figure

    output = pathlib.Path(options.output)
    path = output / f"accuracy_{stdplus_methods.BACKEND}.csv"
    edges = figure.bins()
    drawn = False
    for dtype in options.dtypes:
        for mode in options.modes:
            count = options.samples // 256 if dtype == "float64" else options.samples
            tallies, binned = measure_sample(
                dtype, mode, count, options.seed, edges if dtype == "float32" else None
            )
            print(f"\n### {dtype}, {mode}: largest error in ulp\n", flush=True)
            for quantities in (stdplus_methods.FORWARD, stdplus_methods.INVERSE):
                print(table(tallies, quantities), "\n", flush=True)
            rows = [
                {
                    "dtype": dtype,
                    "mode": mode,
                    "method": method,
                    "quantity": stdplus_methods.NAMES[quantity],
                    "region": region,
                    **stdplus_exhaustive.in_words(tally),
                    **run,
                }
                for (method, quantity), regions in tallies.items()
                for region, tally in regions.items()
            ]
            timing.replace_rows(path, {"dtype": dtype, "mode": mode}, rows)
            if binned and not drawn:
                where = f"{run['backend']}, {mode}, {run['device']}"
                figure.draw(binned, edges, where, output / "accuracy.png")
                drawn = True
    for name in stdplus_methods.missing():
        print(f"Left out: {name}, which is not installed")
    print(f"Wrote {path.name}" + (" and accuracy.png" if drawn else ""))


def run_exhaustive(options):
    """Measure every number of the dtypes, and print the tables."""
    for dtype in options.dtypes:
        for mode in options.modes:
            rows = stdplus_exhaustive.run(dtype, mode, options.output, options.jobs, options.limit)
            if rows is None:
                print(f"{dtype} {mode}: not done yet; the same command goes on with it")
                continue
            columns = ["quantity", "region", "values", "max_ulp", "at", "wrong", "subnormal"]
            print(f"\n### {dtype}, {mode}, every number\n")
            print(results.markdown_table(columns, [[row[c] for c in columns] for row in rows]))


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stdplus_accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = [mode for mode in stdplus_methods.MODES if mode != "compile"]
    add = parser.add_argument
    add("--exhaustive", action="store_true", help="every number of the dtypes")
    add("--dtypes", "--dtype", nargs="+", choices=DTYPES, help="(default: all that can be)")
    add("--modes", nargs="+", choices=stdplus_methods.MODES, default=modes)
    add("--samples", type=int, default=2**17, help="numbers an interval; float64 has a 256th")
    add("--seed", type=int, default=0, help="of the sample")
    add("--jobs", type=int, default=1, help="processes of an exhaustive run")
    add("--limit", type=int, help="chunks after which an exhaustive run pauses")
    add("--output", default="results/stdplus", help="folder of tables and picture")
    options = parser.parse_args(arguments)
    possible = stdplus_exhaustive.DTYPES if options.exhaustive else DTYPES
    options.dtypes = options.dtypes or possible
    if not set(options.dtypes) <= set(possible):
        parser.error(f"--exhaustive knows {', '.join(possible)}")
    if options.jobs < 1 or options.samples < 1:
        parser.error("--jobs and --samples must be positive")
    return options


def main(arguments=None):
    """Run what the command line asks for."""
    options = parse_arguments(arguments)
    if options.exhaustive:
        run_exhaustive(options)
    else:
        run_sample(options, describe_run("benchmarks.stdplus_accuracy"))


if __name__ == "__main__":
    main()
