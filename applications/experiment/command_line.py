"""What the commands of the tables have in common, and which numbers they take."""

import argparse
import math

import keras


def make_parser(module, description, datasets, output):
    """Return a parser that knows where data comes from and how rows are run.

    Args:
        module: Name of the module that `python -m` runs.
        description: Of the command, printed as it is.
        datasets: Names of data sets, the default first.
        output: Default folder, None to leave it to the command.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=datasets, default=datasets[0], help=f"default {datasets[0]}")
    add("--data-dir", metavar="DIR", help="folder with the data set's files")
    add("--tfds-manual-dir", metavar="DIR", help="folder from which tensorflow-datasets takes them")
    add("--train-images", type=positive, metavar="N", help="the first ones alone (default: all)")
    add("--test-images", type=positive, metavar="N", help="likewise")
    add_running(parser, output or "runs/table1", output)
    return parser


def image_source(options):
    """Return the arguments of `applications.datasets.images.load` that the options stand for."""
    return (
        options.dataset,
        options.data_dir,
        options.tfds_manual_dir,
        options.train_images,
        options.test_images,
    )


def add_running(parser, described, output=None):
    """Let a parser know the options on how rows are run.

    Args:
        parser: An `argparse.ArgumentParser`.
        described: The default folder in words.
        output: The default folder, None to leave it to the command.
    """
    add = parser.add_argument
    add("--jobs", type=positive, default=1, metavar="N", help="rows to train side by side")
    add("--output", default=output, metavar="DIR",
        help=f"folder of table and checkpoints (default {described})")  # fmt: skip
    add("--checkpoint-seconds", type=nonnegative_number, default=20.0, metavar="S",
        help="time between two checkpoints of a row at the least (default 20)")  # fmt: skip
    add("--quiet", action="store_true", help="a line for each row only")


def distinct(parser, options):
    """Return a command line's options; refuse one that has a value twice, and so its rows.

    Args:
        parser: An `argparse.ArgumentParser`.
        options: What it parsed.
    """
    for name, values in vars(options).items():
        twice = isinstance(values, list | tuple) and {v for v in values if values.count(v) > 1}
        if twice:
            option = "--" + name.replace("_", "-")
            parser.error(
                f"{option}: each value once, as each is a row. Received: "
                f"{' '.join(map(str, values))}, with {', '.join(map(str, sorted(twice)))} twice"
            )
    return options


def integer(least, most=2**53, expected=None):
    """Return a `type` of options: a function from a text to the integer that it stands for.

    Args:
        least: The least integer that is taken.
        most: The greatest one.
        expected: What a message calls it; by default, it gives both ends.
    """

    def read(text):
        # Python refuses to read 5,000 digits.
        value = int(text) if text.isdecimal() and len(text) < 20 else least - 1
        if not least <= value <= most:
            words = expected or f"an integer from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {words}, not {text!r}")
        return value

    return read


def number(least, most=None, below=None):
    """Return a `type` of options: a function from a text to the number that it stands for.

    Args:
        least: The least number that is taken.
        most: The greatest one; or
        below: What it must be less than.
    """
    end = f"to {most:g}" if below is None else f"to less than {below:g}"

    def read(text):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        # NaN fails every comparison.
        if not (least <= value and (value <= most if below is None else value < below)):
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} {end}, not {text!r}")
        return value

    return read


positive = integer(1, expected="a positive integer")
seed = integer(0, 2**31 - 1)  # which every backend has
# What is beyond these is 0 or infinite in float32, or a product of two of them is.
positive_number = number(1e-30, 1e30)
nonnegative_number = number(0, 1e30)
momentum = number(0, below=1)


def dtype_policy(text):
    """Return a text that names a policy of floats, which the backend computes in."""
    try:
        policy = keras.dtype_policies.get(text)
    except ValueError:
        policy = None
    quantized = isinstance(policy, keras.dtype_policies.QuantizedDTypePolicy)
    if policy is None or quantized or not _is_float(policy.compute_dtype):
        raise argparse.ArgumentTypeError(
            f"must be a dtype policy like float32, mixed_bfloat16 or mixed_float16, not {text!r}"
        )
    return text


def _is_float(dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        import jax

        return jax.config.jax_enable_x64  # else JAX computes in float32
    return keras.backend.is_float_dtype(dtype)
