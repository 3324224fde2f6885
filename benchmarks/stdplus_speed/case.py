"""One case of `benchmarks.stdplus_speed`: a dtype, size, mode and pass, all functions."""

import keras

from benchmarks.harness import frameworks
from benchmarks.harness import timing
from benchmarks.stdplus_accuracy import methods
from benchmarks.stdplus_speed import costs
from keras_slashed import ops

PASSES = ("forward", "forward + backward")
# Goals for 1e6 and 1e7 elements, by backend, mode and dtype, with one for each pass.
GOALS = {
    ("jax", "jit", "float32"): (0.85, 1.05),
    ("jax", "jit", "float64"): (1.2, 1.3),
    ("tensorflow", "xla", "float32"): (0.85, 1.05),
    ("torch", "compile", "float32"): (1.3, 1.3),
    ("torch", "eager", "float32"): (8.0, 8.0),  # with a C++ compiler
}
_OF_POSITIVE = ("stdplus_inverse", "TFP lambertw")  # functions of positive numbers


def peers(dtype):
    """Return a dict {name: elementwise function of tensors} to time, with softplus first.

    Args:
        dtype: String. It decides how many iterations Algorithm 1 uses.
    """
    functions = {
        **_framework_functions(),
        "copy": lambda x: 2.0 * x,
        "stdplus": ops.stdplus,
        "log_stdplus": ops.log_stdplus,
        "stdplus_inverse": ops.stdplus_inverse,
        "Algorithm 1": _algorithm1(dtype),
    }
    if frameworks.BACKEND != "torch" and (tfp := methods.tfp(frameworks.BACKEND)):
        functions["TFP lambertw"] = tfp.math.lambertw
    return functions


def _framework_functions():
    if frameworks.BACKEND == "jax":
        import jax

        return {"softplus": jax.nn.softplus, "exp": jax.numpy.exp}
    if frameworks.BACKEND == "tensorflow":
        import tensorflow as tf

        return {"softplus": tf.nn.softplus, "exp": tf.exp}
    import torch

    return {"softplus": torch.nn.functional.softplus, "exp": torch.exp}


def _algorithm1(dtype):
    """Return Algorithm 1, in float32 for narrower dtypes, in which it would overflow."""
    wide = dtype if dtype == "float64" else "float32"
    function = methods.algorithm1_with_gradient(wide)
    return lambda x: keras.ops.cast(function(keras.ops.cast(x, wide)), dtype)


def measure(case, rounds, seconds):
    """Time all functions in turns.

    Args:
        case: Dict with dtype, elements, mode, pass and threads.
        rounds: Integer. Number of timings of each function.
        seconds: Float. Seconds after which no further round starts.

    Returns:
        List with a row for each function, without provenance.
    """
    with frameworks.setting(case["dtype"], case["mode"]):
        wait, wait_each = timing.waiter()
        calls, cost = _calls(case, wait)
        samples = timing.measure(calls, wait, wait_each, rounds=rounds, budget=seconds)
    return [_row(case, name, samples, cost[name]) for name in calls]


def _calls(case, wait):
    """Return a dict {name: function without arguments}, and the cost of each function."""
    dtype, backward = case["dtype"], case["pass"] == PASSES[1]
    x = 2.0 * keras.random.normal((case["elements"],), dtype="float32", seed=0)
    x = keras.ops.cast(x, dtype)
    positive = keras.ops.exp(0.5 * x)
    cotangent = keras.ops.cast(keras.random.normal(x.shape, dtype="float32", seed=1), dtype)
    frameworks.forget_compiled()
    calls, cost = {}, {}
    for name, function in peers(dtype).items():
        argument = positive if name in _OF_POSITIVE else x
        arguments = (argument, cotangent) if backward else (argument,)
        transform = (frameworks.forward_and_backward,) if backward else ()
        try:
            run = frameworks.compiled(function, case["mode"], *transform)
            wait(run(*arguments))
            cost[name] = costs.cost_analysis(run, arguments)
        except Exception as error:  # a function that fails does not affect the others
            print(f"Left out: {name}, {frameworks.in_a_line(error)}")
            continue
        calls[name] = lambda run=run, arguments=arguments: run(*arguments)
    return calls, cost


def _row(case, name, samples, cost):
    mode, backward = case["mode"], case["pass"] == PASSES[1]
    seconds = timing.spread(samples[name]).median
    ratio = timing.ratios(samples, "softplus")[name]
    size = costs.item_size(case["dtype"])
    copied = costs.least_bytes(mode, backward, False, size)
    least = costs.least_bytes(mode, backward, name != "copy", size)
    share = least / copied / timing.ratios(samples, "copy")[name].median
    goal = GOALS.get((frameworks.BACKEND, mode, case["dtype"]), ("", ""))
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
