"""What the commands have in common: their options, and which numbers they take."""

import argparse
import math

import keras


class Parser(argparse.ArgumentParser):
    """A parser of options, --output among them, whose help tells every default.

    It refuses a command line that has a value twice, and so its rows.

    Args:
        module: Name of the module that `python -m` runs.
        description: Of the command, printed as it is.
        output: Default folder.
    """

    def __init__(self, module, description, output):
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._output = output
        self.add("--output", default=output, metavar="DIR", help="folder of all that is written")

    def add(self, name, type=None, default=None, help="", **more):
        """Let the parser know an option that takes a value.

        Args:
            name: Of the option, with its dashes.
            type: A function from a text to the value, like `positive`; None for a text.
            default: None where there is none. Of a list or tuple the option takes several values.
            help: In words; the default is added to them.
            **more: Of `add_argument`.
        """
        if isinstance(default, list | tuple):
            more.setdefault("nargs", "+")
        if default is not None:
            help = f"{help} (default: {_in_words(default)})".strip()
        self.add_argument(name, type=type, default=default, help=help, **more)

    def add_images(self, datasets):
        """Let the parser know where images come from.

        Args:
            datasets: Names of data sets, the default first.
        """
        self.add("--dataset", default=datasets[0], choices=datasets)
        self.add("--data-dir", metavar="DIR", help="folder with the data set's files")
        self.add("--tfds-manual-dir", metavar="DIR",
                 help="folder from which tensorflow-datasets takes them")  # fmt: skip

    def add_first_images(self):
        """Let the parser know the options that take the first images alone."""
        self.add("--train-images", positive, metavar="N", help="the first ones alone; else all")
        self.add("--test-images", positive, metavar="N", help="likewise")

    def add_preset(self, presets):
        """Let the parser know the scale of rows; below the default folder each has its own.

        Args:
            presets: Names of the scales, the default first.
        """
        self.set_defaults(output=None)
        short = f"{self._output}/{presets[-1]}"
        self.add("--preset", default=presets[0], choices=presets,
                 help=f"the paper's scale, or a short one, written to {short}")  # fmt: skip
        self.add("--epochs", positive, metavar="E", help="in place of the preset's")

    def add_running(self):
        """Let the parser know the options on how rows are run."""
        self.add("--jobs", positive, 1, metavar="N", help="rows to train side by side")
        self.add("--checkpoint-seconds", nonnegative_number, 20.0, metavar="S",
                 help="time between two checkpoints of a row at the least")  # fmt: skip
        self.add_quiet()

    def add_quiet(self):
        """Let the parser know --quiet."""
        self.add_argument("--quiet", action="store_true", help="a line for each row only")

    def parse_args(self, arguments=None, namespace=None):
        """Return a command line's options."""
        options = super().parse_args(arguments, namespace)
        if options.output is None:
            first = options.preset == self.get_default("preset")
            options.output = self._output if first else f"{self._output}/{options.preset}"
        for name, values in vars(options).items():
            twice = isinstance(values, list | tuple) and {v for v in values if values.count(v) > 1}
            if twice:
                option = "--" + name.replace("_", "-")
                self.error(
                    f"{option}: each value once, as each is a row. Received: "
                    f"{' '.join(map(str, values))}, with {', '.join(map(str, sorted(twice)))} twice"
                )
        return options


def _in_words(value):
    if isinstance(value, list | tuple):
        return " ".join(map(_in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def image_source(options):
    """Return the arguments of `applications.datasets.images.load` that the options stand for."""
    names = ("dataset", "data_dir", "tfds_manual_dir", "train_images", "test_images")
    return tuple(getattr(options, name, None) for name in names)


def fill(options, defaults):
    """Put defaults where no option was given."""
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def given(options, names):
    """Return those of the options that were given, as a dict."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


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
