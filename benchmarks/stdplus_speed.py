"""What stdplus costs, as a multiple of the framework's own softplus.

    KERAS_BACKEND=jax python -m benchmarks.stdplus_speed --sizes 1e6 1e7

Times stdplus, log_stdplus, stdplus_inverse, the paper's Algorithm 1, softplus, exp
and a copy by turns, in one process: alone (y from x), and with the gradient (y, and
the product of a given cotangent with the derivative). Each mode is what a user of
the framework would write:

    jax         jit
    tensorflow  eager, graph (tf.function), xla (tf.function with jit_compile)
    torch       eager, compile (torch.compile; on a CPU it needs a C++ compiler)

"copy" is 2 x: it reads and writes as little as any function can, and marks the
bound that memory sets. Writes speed_BACKEND_DEVICE.csv case by case, and a
picture of it; a killed run, started again at the same commit, goes on where it was.
"""

import argparse
import contextlib
import importlib.util
import pathlib

import keras

from applications import results
from applications.provenance import describe_run
from benchmarks import timing
from keras_slashed import ops

DTYPES = ("float32", "float64", "float16", "bfloat16")
PASSES = ("forward", "forward + backward")
# Of issue 3, for 1e6 and 1e7 elements: backend, mode, dtype -> one for each pass.
GOALS = {
    ("jax", "jit", "float32"): (0.85, 1.05),
    ("jax", "jit", "float64"): (1.2, 1.3),
    ("tensorflow", "xla", "float32"): (0.85, 1.05),
    ("torch", "compile", "float32"): (1.3, 1.3),
    ("torch", "eager", "float32"): (8.0, 8.0),  # where a C++ compiler is there
}
_BACKEND = keras.backend.backend()
_FUSED = ("jit", "xla")  # forward and backward pass become one kernel


# What each framework has of its own


def jax_modes():
    """Return {mode: function -> (forward(x), both(x, cotangent))} on JAX."""
    import jax

    def build(function):
        def both(x, cotangent):
            y, pull_back = jax.vjp(function, x)
            return y, *pull_back(cotangent)

        return jax.jit(function), jax.jit(both)

    return {"jit": build}


def tensorflow_modes():
    """Return {mode: function -> (forward(x), both(x, cotangent))} on TensorFlow."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it warns of one function traced for several peers

    def eager(function):
        def both(x, cotangent):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return y, tape.gradient(y, x, output_gradients=cotangent)

        return function, both

    def graph(function):
        return tuple(tf.function(f) for f in eager(function))

    def xla(function):
        return tuple(tf.function(f, jit_compile=True) for f in eager(function))

    return {"eager": eager, "graph": graph, "xla": xla}


def torch_modes():
    """Return {mode: function -> (forward(x), both(x, cotangent))} on PyTorch."""
    import torch

    def eager(function):
        def both(x, cotangent):
            x = x.detach().requires_grad_()
            y = function(x)
            return y.detach(), *torch.autograd.grad(y, x, cotangent)

        return function, both

    def compiled(function):
        return eager(torch.compile(function, dynamic=False))

    # The compiler gives up on a line of code that it compiled several times, for
    # other dtypes or sizes: let each case start afresh.
    torch.compiler.reset()
    return {"eager": eager, "compile": compiled}


def modes():
    """Return {mode: function -> (forward(x), both(x, cotangent))} on this backend."""
    known = {"jax": jax_modes, "tensorflow": tensorflow_modes, "torch": torch_modes}
    return known[_BACKEND]()


def peers(dtype):
    """Return {name: elementwise function} of what is timed, softplus first.

    Args:
        dtype: Decides how many iterations Algorithm 1 takes.
    """
    if _BACKEND == "jax":
        import jax

        functions = {"softplus": jax.nn.softplus, "exp": jax.numpy.exp}
    elif _BACKEND == "tensorflow":
        import tensorflow as tf

        functions = {"softplus": tf.nn.softplus, "exp": tf.exp}
    else:
        import torch

        functions = {"softplus": torch.nn.functional.softplus, "exp": torch.exp}
    own = {
        "stdplus": ops.stdplus,
        "log_stdplus": ops.log_stdplus,
        "stdplus_inverse": ops.stdplus_inverse,
    }
    functions = {**functions, "copy": lambda x: 2.0 * x, **own}
    if importlib.util.find_spec("applications.algorithm1"):
        functions["Algorithm 1"] = _algorithm1(5 if dtype == "float64" else 4)
    else:
        print("Left out: Algorithm 1, applications/algorithm1.py is not there")
    if importlib.util.find_spec("tensorflow_probability") and _BACKEND != "torch":
        name = "tensorflow_probability" + (".substrates.jax" if _BACKEND == "jax" else "")
        functions["TFP lambertw"] = lambda x: importlib.import_module(name).math.lambertw(x)
    return functions


def _algorithm1(iterations):
    """Return the paper's Algorithm 1, with the gradient of Eq. 31 from x and y.

    What is narrower than float32 is computed in float32: in its own dtype the
    algorithm overflows.
    """
    from applications import algorithm1

    @keras.ops.custom_gradient
    def differentiable(x):
        y = algorithm1.stdplus(x, iterations)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return upstream * algorithm1.stdplus_derivative(x, y)

        return y, gradient

    def function(x):
        dtype = keras.backend.standardize_dtype(x.dtype)
        wide = dtype if dtype == "float64" else "float32"
        return keras.ops.cast(differentiable(keras.ops.cast(x, wide)), dtype)

    return function


_INVERSES = ("stdplus_inverse", "TFP lambertw")  # of positive numbers


def cost_analysis(forward_or_both, arguments):
    """Return what XLA says that one element costs; nothing but on JAX.

    It counts a division or a square root as one flop, and bytes that move between
    kernels, not within them.
    """
    if _BACKEND != "jax":
        return {}
    cost = forward_or_both.lower(*arguments).compile().cost_analysis() or {}
    elements = arguments[0].size
    names = ("flops", "transcendentals", "bytes accessed")  # absent where 0
    return {name: f"{cost.get(name, 0.0) / elements:.4g}" for name in names}


def free_memory():
    """Return the bytes that are free where arrays live, or None if unknown."""
    if _BACKEND == "jax":
        import jax

        stats = jax.devices()[0].memory_stats()
        if stats and "bytes_limit" in stats:
            return stats["bytes_limit"] - stats["bytes_in_use"]
    if _BACKEND == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.mem_get_info()[0]
    if _BACKEND == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return None
    free = []
    with contextlib.suppress(OSError, ValueError):
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        sizes = dict(line.split(":") for line in lines)
        free.append(1024 * int(sizes["MemAvailable"].split()[0]))
    with contextlib.suppress(OSError, ValueError):  # a container's own limit, if it has one
        group = pathlib.Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        free.append(limit - used)
    return min(free, default=None)


def needed_memory(size, dtype, mode):
    """Return the bytes that a case takes, generously guessed."""
    # Three arrays go in, two come out. Where nothing is fused, each operation of a
    # long chain leaves one behind, and the backward pass wants some of them again.
    arrays = 10 if mode in (*_FUSED, "compile") else 24
    return arrays * size * (8 if dtype == "float64" else 4)


def least_bytes(mode, part, function, itemsize):
    """Return the bytes an element that must move, if all is fused that can be."""
    if part == "forward":
        return 2 * itemsize  # x in, y out
    # In: x and the cotangent; out: y and the gradient. A backward pass that runs
    # apart reads what the forward pass saved, x or y; that of a copy needs neither.
    apart = mode not in _FUSED and function != "copy"
    return (5 if apart else 4) * itemsize


# One case: all functions, one dtype, size, mode and pass


def measure_case(case, options):
    """Time all functions by turns.

    Args:
        case: dtype, elements, mode, pass and threads.
        options: Of the command line.

    Returns:
        A row for each function, without provenance.
    """
    dtype, mode, part = case["dtype"], case["mode"], case["pass"]
    x = 2.0 * keras.random.normal((case["elements"],), dtype="float32", seed=0)
    x = keras.ops.cast(x, dtype)
    positive = keras.ops.exp(0.5 * x)
    cotangent = keras.ops.cast(keras.random.normal(x.shape, dtype="float32", seed=1), dtype)
    wait, wait_each = timing.waiter()
    build, calls, costs = modes()[mode], {}, {}
    for name, function in peers(dtype).items():
        argument = positive if name in _INVERSES else x
        arguments = (argument,) if part == "forward" else (argument, cotangent)
        try:
            run = build(function)[PASSES.index(part)]
            wait(run(*arguments))
            costs[name] = cost_analysis(run, arguments)
        except Exception as error:  # one that is not to be had leaves the others
            message = (str(error).strip().splitlines() or [""])[0]
            print(f"Left out: {name}, {type(error).__name__}: {message[:200]}")
            continue
        calls[name] = lambda run=run, arguments=arguments: run(*arguments)
    samples = timing.measure(calls, wait, wait_each, rounds=options.repeats, budget=options.seconds)
    return [_row(case, name, samples, costs[name]) for name in calls]


def _row(case, name, samples, cost):
    seconds = timing.spread(samples[name]).median
    ratio = timing.ratios(samples, "softplus")[name]
    size = 2 if case["dtype"].endswith("float16") else int(case["dtype"][5:]) // 8
    least, copied = (least_bytes(case["mode"], case["pass"], n, size) for n in (name, "copy"))
    share = least / copied / timing.ratios(samples, "copy")[name].median
    goal = GOALS.get((_BACKEND, case["mode"], case["dtype"]), ("", ""))
    return {
        **case,
        "function": name,
        "milliseconds": f"{1e3 * seconds:.4g}",
        "ratio": f"{ratio.median:.3f}",
        "ratio_low": f"{ratio.low:.3f}",
        "ratio_high": f"{ratio.high:.3f}",
        "goal": goal[PASSES.index(case["pass"])] if name == "stdplus" else "",
        "rounds": len(samples[name]),
        "least_bytes": least,
        "gigabytes_per_second": f"{case['elements'] * least / seconds / 1e9:.4g}",
        "share_of_copy": f"{share:.3f}",
        "flops": cost.get("flops", ""),
        "transcendentals": cost.get("transcendentals", ""),
        "xla_bytes": cost.get("bytes accessed", ""),
    }


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


def case_table(case, rows):
    """Return what is printed of one case."""
    title = "{dtype}, {elements:,} elements, {mode}, {pass}, threads: {threads}".format(**case)
    rows = [{**row, "quartiles": f"{row['ratio_low']}-{row['ratio_high']}"} for row in rows]
    cells = [[row[column] for column in _TABLE] for row in rows]
    return f"\n### {title}\n\n" + results.markdown_table(list(_TABLE.values()), cells)


def summary(rows):
    """Return a table of stdplus alone, beside the goals."""
    lines = {}
    for row in rows:
        if row["function"] == "stdplus":
            line = lines.setdefault(tuple(row[key] for key in ("dtype", "elements", "mode")), {})
            goal = f" (goal {row['goal']})" if row["goal"] else ""
            line[row["pass"]] = f"{float(row['ratio']):.2f}{goal}"
    header = ["dtype", "elements", "mode", *PASSES]
    cells = [[*key, *(line.get(part, "") for part in PASSES)] for key, line in lines.items()]
    return "\n### stdplus, x softplus\n\n" + results.markdown_table(header, cells)


# The picture

_COLOURS = {  # of Okabe and Ito, told apart by the colour-blind
    "stdplus": "#D55E00",
    "log_stdplus": "#E69F00",
    "stdplus_inverse": "#F0E442",
    "Algorithm 1": "#0072B2",
    "TFP lambertw": "#CC79A7",
    "exp": "#009E73",
    "copy": "#999999",
}
_GOAL = {"marker": "D", "ms": 6, "mfc": "white", "mec": "black", "ls": "none", "zorder": 5}


def draw(rows, path):
    """Draw the ratios to softplus: a row of panels for each size, one for each pass.

    Args:
        rows: Of the table, dicts of strings.
        path: Where the picture goes.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sizes = sorted({int(row["elements"]) for row in rows})
    groups = list(dict.fromkeys((row["mode"], row["dtype"], row["threads"]) for row in rows))
    several = len({threads for _, _, threads in groups}) > 1
    names = [name for name in _COLOURS if any(row["function"] == name for row in rows)]
    # Side by side as long as there is room.
    columns = 2 if len(groups) <= 4 else 1
    figure, panels = plt.subplots(
        2 * len(sizes) // columns,
        columns,
        figsize=(max(10, 1.4 + 1.4 * columns * len(groups)), 1 + 3.2 * 2 * len(sizes) / columns),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    panels = panels.reshape(len(sizes), 2)
    for size, line in zip(sizes, panels):
        for part, panel in zip(PASSES, line):
            for row in rows:
                if (int(row["elements"]), row["pass"]) == (size, part):
                    place = groups.index((row["mode"], row["dtype"], row["threads"]))
                    _draw_bar(panel, row, place, names)
            panel.axhline(1.0, color="black", lw=1.2)
            panel.set(yscale="log", title=f"{part}, {size:,} elements", xlim=(-0.5, None))
            panel.set_xticks(
                range(len(groups)),
                [f"{m}\n{d}" + (f"\nthreads: {t}" if several else "") for m, d, t in groups],
            )
            panel.grid(axis="y", alpha=0.3)
            panel.set_axisbelow(True)
            panel.yaxis.set_major_formatter("{x:g}")
            panel.margins(y=0.12)
            if panel.get_subplotspec().is_first_col():
                panel.set_ylabel("time / softplus' time")
    handles = [plt.Rectangle((0, 0), 1, 1, fc=_COLOURS[n], ec="0.3", lw=0.5) for n in names]
    handles.append(plt.Line2D([], [], color="black", lw=1.2))
    labels = [*names, "softplus = 1"]
    if any(row["goal"] for row in rows):
        handles.append(plt.Line2D([], [], **_GOAL))
        labels.append("goal for stdplus")
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    devices = ", ".join(dict.fromkeys(f"{row['backend']} on {row['device']}" for row in rows))
    figure.supxlabel(f"{devices}. Medians; lines: quartiles. Below 1: faster.", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_bar(panel, row, place, names):
    """Draw one bar from the line of softplus up or down, with its ratio."""
    if row["function"] not in names:
        return
    width = 0.84 / len(names)
    x = place + width * (names.index(row["function"]) - (len(names) - 1) / 2)
    ratio, low, high = (float(row[key]) for key in ("ratio", "ratio_low", "ratio_high"))
    colour = _COLOURS[row["function"]]
    panel.bar(x, ratio - 1.0, width, bottom=1.0, color=colour, edgecolor="0.3", lw=0.5)
    panel.plot([x, x], [low, high], color="black", lw=1)
    up = ratio >= 1.0
    panel.annotate(
        f"{ratio:#.2g}" if ratio < 10 else f"{ratio:.0f}",
        (x, max(ratio, high) if up else min(ratio, low)),
        xytext=(0, 2 if up else -2),
        textcoords="offset points",
        ha="center",
        va="bottom" if up else "top",
        fontsize=7,
    )
    if row["goal"]:
        panel.plot(x, float(row["goal"]), **_GOAL)


# The command line


def parse_size(text):
    """Return the number that "1e6", "2^28" or "1000" stands for."""
    base, caret, exponent = text.partition("^")
    size = int(base) ** int(exponent) if caret else int(float(text))
    if size < 1:
        raise ValueError(text)
    return size


parse_size.__name__ = "size"  # what argparse calls it in its messages


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stdplus_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = list(modes())
    add = parser.add_argument
    add("--sizes", nargs="+", type=parse_size, default=[10**6, 10**7], help="like 1e6 or 2^28")
    add("--dtypes", nargs="+", choices=DTYPES, default=["float32"])
    add("--modes", nargs="+", choices=known, default=known)
    add("--repeats", type=int, default=15, help="rounds of timings in a case (default 15)")
    add("--seconds", type=float, default=30.0, help="after which a case ends early (default 30)")
    add("--threads", type=int, help="on torch and a CPU (default: as many as torch takes)")
    add("--output", default="results/stdplus", help="folder of the table and the picture")
    options = parser.parse_args(arguments)
    if options.threads and _BACKEND != "torch":
        parser.error("--threads is for torch; bind other backends to some cores with `taskset`")
    if options.repeats < 1:
        parser.error(f"--repeats must be positive, not {options.repeats}")
    return options


def _usable(wanted):
    """Leave out torch.compile where it finds no compiler."""
    if "compile" not in wanted:
        return wanted
    try:
        modes()["compile"](lambda x: x + 1.0)[0](keras.ops.ones(8))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        print(f"Skipped: mode compile, torch.compile does not work here ({reason[:200]})")
        return [mode for mode in wanted if mode != "compile"]
    return wanted


def _cases(options):
    """Yield the cases that are wanted and fit into memory."""
    usable = _usable(options.modes)
    for dtype in options.dtypes:
        for size in options.sizes:
            for mode in usable:
                needed, free = needed_memory(size, dtype, mode), free_memory()
                if free is not None and needed > free:
                    print(
                        f"Skipped: {dtype}, {size:,} elements, {mode}: may need "
                        f"{needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free"
                    )
                    continue
                for part in PASSES:
                    case = {"dtype": dtype, "elements": size, "mode": mode, "pass": part}
                    yield {**case, "threads": timing.threads()}


def main(arguments=None):
    """Measure every case that the command line asks for, and draw the picture."""
    options = parse_arguments(arguments)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    run = describe_run("benchmarks.stdplus_speed")
    table = timing.table_path(options.output, "speed", run)
    seen = []
    for case in _cases(options):
        if timing.is_measured(table, case, run):
            print("\nMeasured before:", *case.values())
            rows = [row for row in results.read_rows(table) if results.find_row([row], **case)]
        else:
            with _dtype_enabled(case["dtype"]):
                rows = [{**row, **run} for row in measure_case(case, options)]
            timing.replace_rows(table, case, rows)
        print(case_table(case, rows), flush=True)
        seen += rows
    if seen:
        print(summary(seen))
        draw(results.read_rows(table), table.with_suffix(".png"))
        print(f"\nWrote {table.name} and {table.stem}.png")


def _dtype_enabled(dtype):
    """A context in which tensors of this dtype can be made: JAX has float64 off."""
    if dtype == "float64" and _BACKEND == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


if __name__ == "__main__":
    main()
