"""What the commands of the tables have in common."""

import argparse
import dataclasses

from applications import linear
from applications import optimizers
from applications.setting import Setting
from keras_slashed.validation import NORMALIZATIONS
from keras_slashed.validation import PARTS


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
    add_running(parser, output or "runs/table1", output)
    return parser


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
    add("--checkpoint-seconds", type=float, default=20.0, metavar="S",
        help="time between two checkpoints of a row at the least (default 20)")  # fmt: skip
    add("--quiet", action="store_true", help="a line for each row only")


def add_settings(parser, default):
    """Let a parser know the options that make the rows of a free choice.

    Args:
        parser: Of `make_parser`.
        default: A `Setting`, of a data set's model.
    """
    add = parser.add_argument
    add("--bottleneck", nargs="+", choices=("none", "dropout", "vib"), default=["vib"])
    add("--normalization", nargs="+", choices=NORMALIZATIONS, default=["batch"])
    add("--rate-multiplier", nargs="+", type=float, default=[1.0], metavar="R",
        help="the rate is R log(10) nats (default 1)")  # fmt: skip
    add("--part", choices=PARTS, default=default.part)
    add("--epochs", type=positive, default=20, help="default 20; the paper: 400")
    add("--batch-size", type=positive, default=default.batch_size, help="default 100")
    add("--seed", nargs="+", type=int, default=[0])
    add("--learning-rate", type=float, default=default.learning_rate,
        help=f"of Adam at the start (default {default.learning_rate:g})")  # fmt: skip
    add("--learning-rate-decay", type=float, default=default.learning_rate_decay,
        help=f"its factor every 2 epochs (default {default.learning_rate_decay:g})")  # fmt: skip
    add("--weight-decay", type=float, default=default.weight_decay)
    add("--weight-decay-kind", choices=optimizers.WEIGHT_DECAYS,
        default=default.weight_decay_kind, help="default coupled, as PyTorch's Adam")  # fmt: skip
    add_choices(parser, default)
    add("--momentum", type=float, default=default.momentum, help="of the moving mean square")
    add("--num-samples", type=positive, default=default.num_samples,
        help="posterior draws averaged in evaluation (default 12)")  # fmt: skip
    add("--attack-samples", type=positive, default=default.attack_samples,
        help="draws averaged in the attacked loss (default 12; 1: a single draw)")  # fmt: skip
    add("--dtype-policy", default=default.dtype_policy, help="like mixed_bfloat16")


def add_choices(parser, default=None):
    """Let a parser know the options on what the paper, of another framework, leaves open.

    Args:
        parser: Of `make_parser`.
        default: A `Setting`, or None for options that are None where they are not given.
    """
    add = parser.add_argument
    add("--initializer", choices=linear.INITIALIZERS, default=default and default.initializer,
        help="of linear layers: Keras' default or PyTorch's (default keras)")  # fmt: skip
    add("--adam-epsilon", type=float, default=default and default.adam_epsilon, metavar="EPSILON",
        help="default 1e-7, as Keras' own; PyTorch's is 1e-8")  # fmt: skip
    add("--relu-amplitude", action="store_true", default=default and default.relu_amplitude,
        help="a ReLU on the amplitude too")  # fmt: skip


def chosen_settings(options, default):
    """Return the settings of all rows that the options of `add_settings` ask for."""
    fields = {field.name for field in dataclasses.fields(Setting)}
    given = {key: value for key, value in vars(options).items() if key in fields}
    settings = []
    for seed in options.seed:
        for bottleneck in options.bottleneck:
            one = {**given, "seed": seed, "bottleneck": bottleneck}
            vib = bottleneck == "vib"
            for normalization in options.normalization if vib else ["batch"]:
                for r in options.rate_multiplier if vib else [1.0]:
                    one.update(normalization=normalization, rate_multiplier=r)
                    settings.append(dataclasses.replace(default, **one))
    return settings


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


def positive(text):
    """Return the positive integer that a text stands for."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return value
