"""Figure 3 of the paper: the measured error of Algorithm 1 against its iterations."""

import functools

import keras
import numpy as np

from applications import extras
from applications.figures import algorithm1
from applications.training.backends import float64_enabled
from keras_slashed import ops

plt = extras.pyplot()
mpmath = extras.load("mpmath")

_ITERATIONS = range(1, 7)
_DTYPES = ("float32", "float64")
_SERIES = 0.04  # up to here Algorithm 1 uses a Pade approximant and does not iterate


def exact_log_stdplus(x):
    """Return log stdplus of float64 numbers, from Lambert's W at 40 digits (Eq. 8).

    `y^2 = -W(-exp(-x^2 - 1))`, on branch 0 for negative x and on branch -1 otherwise.
    """
    with mpmath.workdps(40):
        values = []
        for number in map(mpmath.mpf, map(float, x)):
            branch = 0 if number < 0 else -1
            square = -mpmath.lambertw(-mpmath.exp(-(number**2) - 1), branch).real
            values.append(float(mpmath.log(square) / 2))
    return np.array(values)


def measure(points=2000):
    """Return the largest absolute errors of log stdplus between -10 and 10.

    Args:
        points: Integer. Number of points in this range. Additional points lie around the Pade
            approximant.

    Returns:
        List of dicts with the keys `method`, `dtype`, `iterations`, `promised`, `error` and
        `error_beyond_0.04`. `promised` is the error `2^-2^(n + 1)` of Algorithm 1's rule
        `n = ceil(log2(-log2 eps) - 1)`. Beyond 0.04 Algorithm 1 iterates.
    """
    x = np.concatenate([np.linspace(-10, 10, points), np.linspace(-0.1, 0.1, points // 10)])
    x = np.unique(x.astype("float32")).astype("float64")
    exact, beyond = exact_log_stdplus(x), np.abs(x) > _SERIES
    rows = []

    def add(method, dtype, iterations, promised, function):
        with float64_enabled():
            tensor = keras.ops.convert_to_tensor(x, dtype=dtype)
            computed = keras.ops.convert_to_numpy(function(tensor))
        error = np.abs(computed.astype("float64") - exact)
        rows.append(
            {
                "method": method,
                "dtype": dtype,
                "iterations": iterations,
                "promised": promised,
                "error": f"{error.max():.3g}",
                "error_beyond_0.04": f"{error[beyond].max():.3g}",
            }
        )

    for dtype in _DTYPES:
        for n in _ITERATIONS:
            promised = f"{2.0 ** -(2 ** (n + 1)):.3g}"
            steps = functools.partial(algorithm1.log_stdplus, iterations=n)
            add("algorithm_1", dtype, n, promised, steps)
        add("keras_slashed", dtype, 0, "", ops.log_stdplus)
    return rows


def draw(rows, path):
    """Plot the figure from the list of dicts that `measure` returned."""
    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    for dtype, color in zip(_DTYPES, ("tab:blue", "tab:orange")):
        chosen = [row for row in rows if row["dtype"] == dtype]
        steps = [row for row in chosen if row["method"] == "algorithm_1"]
        n = [row["iterations"] for row in steps]
        for column, style, label in (
            ("error", "o-", "measured"),
            ("error_beyond_0.04", "x:", "measured, |x| > 0.04"),
        ):
            values = [float(row[column]) for row in steps]
            axes.plot(n, values, style, color=color, ms=5, label=f"Algorithm 1, {dtype}, {label}")
        (ours,) = (row for row in chosen if row["method"] == "keras_slashed")
        axes.axhline(
            float(ours["error"]), color=color, ls="--", lw=1.2, label=f"keras_slashed, {dtype}"
        )
    axes.plot(
        n,
        [float(row["promised"]) for row in steps],
        color="0.3",
        label="the rule n = ⌈log2(-log2 eps) - 1⌉",
    )
    axes.set(
        yscale="log",
        ylim=(1e-17, 1),
        xlabel="iterations n of Algorithm 1 (keras_slashed has none)",
        ylabel="largest error of log stdplus, |x| ≤ 10",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    extras.save(figure, path)
