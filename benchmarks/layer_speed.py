"""Compare a training step with FixedRateVIB and one with common layers.

    KERAS_BACKEND=jax python -m benchmarks.layer_speed

The command times three classifiers 784-width-width-width-10. They differ only in the layers
before the last one: FixedRateVIB, or BatchNormalization and GaussianDropout, or nothing.
BatchNormalization and GaussianDropout normalize and multiply by noise in a similar way. A VIB
of 512 numbers has 256 latent dimensions, so it outputs half as many numbers. The complete
training steps (`model.train_step`: forward, backward, Adam) run in turns on one batch that is
already on the device. For a smaller width, matrix products take less of a step, and the layer
takes more of it.

The modes are jax jit, tensorflow graph and xla, and torch eager and compile (torch.compile, as
Keras uses it with `jit_compile=True`, which needs a C++ compiler on a CPU). The command writes
layer_speed_BACKEND_DEVICE.csv.
"""

import warnings

import keras
import numpy as np

from applications.experiment import csv_tables
from applications.experiment.command_line import dtype_policy
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from applications.training.backends import threads
from benchmarks.harness import command_line
from benchmarks.harness import frameworks
from benchmarks.harness import tables
from benchmarks.harness import timing
from keras_slashed.layers import FixedRateVIB

_MODES = {
    "jax": ("jit",),
    "tensorflow": ("graph", "xla"),
    "torch": ("eager", "compile"),
}.get(frameworks.BACKEND, ())
_REFERENCE = "BatchNormalization + GaussianDropout"
_CLASSES = 10


def bottlenecks(normalization):
    """Return a dict from names to functions that make the layers before the last one."""
    return {
        _REFERENCE: lambda: [
            keras.layers.BatchNormalization(),
            keras.layers.GaussianDropout(0.2, seed=0),
        ],
        "FixedRateVIB": lambda: [FixedRateVIB(np.log(_CLASSES), normalization, seed=0)],
        "nothing": lambda: [],
    }


def build(layers, width):
    """Return a compiled model. A VIB outputs half as many numbers as it receives."""
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(width),
            *layers,
            keras.layers.Dense(_CLASSES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Without Keras' own compilation, since `training_step` compiles.
    model.compile(keras.optimizers.Adam(1e-4), loss, jit_compile=False)
    return model


def training_step(model, x, y, mode):
    """Return a function without arguments that trains on the batch.

    Args:
        model: `keras.Model` that `build` returned.
        x: Tensor of inputs.
        y: Tensor of labels.
        mode: String. How to compile `model.train_step`.
    """
    model.train_on_batch(x, y)  # creates the states of optimizer and metrics
    if mode == "jit":
        import jax

        step = jax.jit(model.train_step, donate_argnums=0)
        states = ("trainable", "non_trainable", "optimizer", "metrics")
        variables = [getattr(model, name + "_variables") for name in states[:2]]
        variables += [model.optimizer.variables, model.metrics_variables]
        # Copies, since each step donates its arguments.
        state = [[jax.numpy.array(v.value) for v in group] for group in variables]

        def call():
            nonlocal state
            logs, state = step(tuple(state), (x, y))
            return logs, state

        return call
    if mode == "compile":
        import torch

        # torch.compile stops compiling a line of code after 8 compilations, and Keras calls the
        # layers of all models from the same line.
        torch._dynamo.config.recompile_limit = 256
        warnings.filterwarnings("ignore", module="torch._dynamo")
        step = torch.compile(model.train_step)
    elif mode == "eager":
        step = model.train_step
    else:
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # TensorFlow warns of retracing for several models
        step = tf.function(model.train_step, jit_compile=mode == "xla")
    return lambda: step((x, y))


def measure_case(case, options):
    """Time one step of each model in turns.

    Returns:
        List with a row for each model, without provenance.
    """
    rng = np.random.default_rng(0)
    batch = case["batch_size"]
    x = keras.ops.convert_to_tensor(rng.random((batch, 784), "float32"))
    y = keras.ops.convert_to_tensor(rng.integers(0, _CLASSES, batch), dtype="int32")
    wait, wait_each = timing.waiter()
    calls = {}
    for name, layers in bottlenecks(case["normalization"]).items():
        keras.utils.set_random_seed(0)
        try:
            call = training_step(build(layers(), case["width"]), x, y, case["mode"])
            wait(call())
        except Exception as error:  # a model that fails does not affect the others
            print(f"Left out: {name}, {frameworks.in_a_line(error)}")
            continue
        calls[name] = call
    if _REFERENCE not in calls:
        return []
    samples = timing.measure(calls, wait, wait_each, rounds=options.repeats, budget=options.seconds)
    ratios = timing.ratios(samples, _REFERENCE)
    return [
        {
            **case,
            "layers": name,
            "milliseconds": f"{1e3 * timing.spread(samples[name]).median:.4g}",
            "ratio": f"{ratios[name].median:.3f}",
            "ratio_low": f"{ratios[name].low:.3f}",
            "ratio_high": f"{ratios[name].high:.3f}",
            "rounds": len(samples[name]),
        }
        for name in calls
    ]


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.make_parser("benchmarks.layer_speed", __doc__)
    add, positive = parser.add, command_line.positive
    add("--width", positive, [512], metavar="N",
        help="width of the hidden layers, an even number")  # fmt: skip
    add("--batch-size", positive, [1024], metavar="N", help="number of examples in the batch")
    add("--normalization", default=["batch"], choices=("batch", "instance", "feature"),
        help="normalizations of FixedRateVIB")  # fmt: skip
    add("--dtype-policy", dtype_policy, ["float32"], metavar="POLICY",
        help="Keras dtype policies, such as mixed_bfloat16")  # fmt: skip
    add("--modes", default=_MODES, choices=_MODES, help="modes of the backend")
    command_line.add_timing(parser, seconds=60.0)
    options = parser.parse_args(arguments)
    if any(width % 2 for width in options.width):
        parser.error(f"--width must be even, not {options.width}")
    return options


def _cases(options):
    for policy in options.dtype_policy:
        for width in options.width:
            for batch_size in options.batch_size:
                for normalization in options.normalization:
                    for mode in options.modes:
                        yield {
                            "mode": mode,
                            "width": width,
                            "batch_size": batch_size,
                            "normalization": normalization,
                            "dtype_policy": policy,
                            "threads": threads(),
                        }


@table_command(tables.GOES_ON)
def main(arguments=None):
    """Measure every case that the command line asks for."""
    options = parse_arguments(arguments)
    run = describe_run("benchmarks.layer_speed")
    table = tables.table_path(options.output, "layer_speed", run)
    for case in _cases(options):
        rows = tables.measured_rows(table, case, run)
        if rows:
            print("\nAlready measured:", *case.values())
        else:
            keras.config.set_dtype_policy(case["dtype_policy"])
            rows = [{**row, **run} for row in measure_case(case, options)]
            if not rows:
                continue
            tables.replace_rows(table, case, rows)
        title = "{mode}, width {width}, batch {batch_size}, {dtype_policy}, {normalization}"
        print(f"\n### A training step, {title.format(**case)}, threads: {case['threads']}\n")
        header = ["before the last layer", "ms", "ratio", "quartiles"]
        keys = ("layers", "milliseconds", "ratio")
        cells = [[*(r[k] for k in keys), f"{r['ratio_low']}-{r['ratio_high']}"] for r in rows]
        print(csv_tables.markdown_table(header, cells), flush=True)


if __name__ == "__main__":
    main()
