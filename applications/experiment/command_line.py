"""What the commands have in common: their options, and the numbers that these accept."""

import argparse
import math

import keras


class Parser(argparse.ArgumentParser):
    """A parser of options, including --output, whose help states every default.

    It refuses a command line that lists a value twice, since that would make rows twice.

    Args:
        module: String. Name of the module that `python -m` runs.
        description: String. Description of the command, which is printed unchanged.
        output: String. Default folder.
    """

    def __init__(self, module, description, output):
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._output = output
        self.add("--output", default=output, metavar="DIR", help="folder of all output files")

    def add(self, name, type=None, default=None, help="", **more):
        """Add an option that takes a value.

        Args:
            name: String. Name of the option, with its dashes.
            type: Function from a string to the value, like `positive`, or None for a string.
            default: The default value, or None for no default. If it is a list or tuple, the
                option takes several values.
            help: String. Description of the option. The default is appended to it.
            **more: Further keyword arguments of `add_argument`.
        """
        if isinstance(default, list | tuple):
            more.setdefault("nargs", "+")
        if default is not None:
            help = f"{help} (default: {_in_words(default)})".strip()
        self.add_argument(name, type=type, default=default, help=help, **more)

    def add_images(self, datasets):
        """Add the options that say where images come from.

        Args:
            datasets: Sequence of strings. Names of data sets, the default first.
        """
        self.add("--dataset", default=datasets[0], choices=datasets)
        self.add("--data-dir", metavar="DIR", help="folder with the data set's files")
        self.add("--tfds-manual-dir", metavar="DIR",
                 help="folder with the files for tensorflow-datasets")  # fmt: skip

    def add_first_images(self):
        """Add the options that use only the first images."""
        self.add("--train-images", positive, metavar="N",
                 help="use only the first N training images")  # fmt: skip
        self.add("--test-images", positive, metavar="N",
                 help="use only the first N test images")  # fmt: skip

    def add_preset(self, presets):
        """Add the option of the rows' scale. Each scale but the default has its own subfolder.

        Args:
            presets: Sequence of strings. Names of the scales, the default first.
        """
        self.set_defaults(output=None)
        short = f"{self._output}/{presets[-1]}"
        self.add("--preset", default=presets[0], choices=presets,
                 help=f"the paper's scale, or a short one, written to {short}")  # fmt: skip
        self.add("--epochs", positive, metavar="E",
                 help="number of epochs (default: that of the preset)")  # fmt: skip

    def add_running(self):
        """Add the options that say how to run rows."""
        self.add("--jobs", positive, 1, metavar="N", help="number of rows to train in parallel")
        self.add("--checkpoint-seconds", nonnegative_number, 20.0, metavar="S",
                 help="minimum time between two checkpoints of a row")  # fmt: skip
        self.add_quiet()

    def add_quiet(self):
        """Add the option --quiet."""
        self.add_argument("--quiet", action="store_true", help="print only one line per row")

    def parse_args(self, arguments=None, namespace=None):
        """Return the options of a command line."""
        options = super().parse_args(arguments, namespace)
        if options.output is None:
            first = options.preset == self.get_default("preset")
            options.output = self._output if first else f"{self._output}/{options.preset}"
        for name, values in vars(options).items():
            twice = isinstance(values, list | tuple) and {v for v in values if values.count(v) > 1}
            if twice:
                option = "--" + name.replace("_", "-")
                self.error(
                    f"{option}: each value makes a row and must be given only once. Received: "
                    f"{' '.join(map(str, values))}, with {', '.join(map(str, sorted(twice)))} twice"
                )
        return options


def _in_words(value):
    if isinstance(value, list | tuple):
        return " ".join(map(_in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def image_source(options):
    """Return the arguments of `applications.datasets.images.load` that the options select."""
    names = ("dataset", "data_dir", "tfds_manual_dir", "train_images", "test_images")
    return tuple(getattr(options, name, None) for name in names)


def fill(options, defaults):
    """Set the options that were not given to their defaults."""
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def given(options, names):
    """Return a dict of the options among `names` that were given."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def integer(least, most=2**53, expected=None):
    """Return a `type` of options: a function that reads an integer from a string.

    Args:
        least: Integer. The smallest value that is accepted.
        most: Integer. The largest value that is accepted.
        expected: String. How the error message describes the value. By default, it states
            both limits.
    """

    def read(text):
        # `int` raises an error for a text of 5,000 digits.
        value = int(text) if text.isdecimal() and len(text) < 20 else least - 1
        if not least <= value <= most:
            words = expected or f"an integer from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {words}, not {text!r}")
        return value

    return read


def number(least, most=None, below=None):
    """Return a `type` of options: a function that reads a number from a string.

    Args:
        least: Float. The smallest value that is accepted.
        most: Float or None. The largest value that is accepted.
        below: Float or None. The value must be less than this. It replaces `most`.
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
seed = integer(0, 2**31 - 1)  # the range that every backend accepts
# Beyond these limits a number, or a product of two of them, is 0 or infinite in float32.
positive_number = number(1e-30, 1e30)
nonnegative_number = number(0, 1e30)
momentum = number(0, below=1)


def dtype_policy(text):
    """Return the text if it names a dtype policy of floats that the backend can compute in."""
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

        return jax.config.jax_enable_x64  # without it JAX computes in float32
    return keras.backend.is_float_dtype(dtype)
