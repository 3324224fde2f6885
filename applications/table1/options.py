"""The options of the commands that train classifiers."""

import dataclasses

from applications.experiment import command_line
from applications.models import linear
from applications.models.resnet18 import STEMS
from applications.table1.config import NORMALIZATIONS
from applications.table1.config import PARTS
from applications.table1.config import Setting
from applications.table1.config import default_setting
from applications.training import optimizers


def add_settings(parser, default):
    """Let a parser know the options that make the rows of a free choice.

    Args:
        parser: Of `make_parser`.
        default: A `Setting`, of a data set's model.
    """
    add = parser.add_argument
    add("--bottleneck", nargs="+", choices=("none", "dropout", "vib"), default=["vib"])
    add("--normalization", nargs="+", choices=NORMALIZATIONS, default=["batch"])
    add("--rate-multiplier", nargs="+", type=command_line.positive_number, default=[1.0],
        metavar="R", help="the rate is R log(10) nats (default 1)")  # fmt: skip
    add("--part", choices=PARTS, default=default.part)
    add("--epochs", type=command_line.positive, default=20, help="default 20; the paper: 400")
    add("--batch-size", type=command_line.positive, default=default.batch_size,
        help="default 100")  # fmt: skip
    add("--seed", nargs="+", type=command_line.seed, default=[0])
    add("--learning-rate", type=command_line.positive_number, default=default.learning_rate,
        help=f"of Adam at the start (default {default.learning_rate:g})")  # fmt: skip
    add("--learning-rate-decay", type=command_line.positive_number,
        default=default.learning_rate_decay,
        help=f"its factor every 2 epochs (default {default.learning_rate_decay:g})")  # fmt: skip
    add("--weight-decay", type=command_line.nonnegative_number, default=default.weight_decay)
    add("--weight-decay-kind", choices=optimizers.WEIGHT_DECAYS,
        default=default.weight_decay_kind, help="default coupled, as PyTorch's Adam")  # fmt: skip
    add_choices(parser, default)
    add(
        "--momentum",
        type=command_line.momentum,
        default=default.momentum,
        help="of the moving mean square",
    )
    add("--num-samples", type=command_line.positive, default=default.num_samples,
        help="posterior draws averaged in evaluation (default 12)")  # fmt: skip
    add("--attack-samples", type=command_line.positive, default=default.attack_samples,
        help="draws averaged in the attacked loss (default 12; 1: a single draw)")  # fmt: skip
    add("--dtype-policy", type=command_line.dtype_policy, default=default.dtype_policy,
        help="like mixed_bfloat16")  # fmt: skip
    if default.model == "resnet18":
        add("--width", type=command_line.positive, default=default.width, metavar="N",
            help=f"channels of the first stage (default {default.width})")  # fmt: skip
        add("--stem", choices=STEMS, default=default.stem, help=f"default {default.stem}")
        add("--no-augmentation", dest="augment", action="store_false",
            help="train on the images as they are, neither shifted nor mirrored")  # fmt: skip


def add_choices(parser, default=None):
    """Let a parser know the options on what the paper, of another framework, leaves open.

    Args:
        parser: Of `make_parser`.
        default: A `Setting`, or None for options that are None where they are not given.
    """
    add = parser.add_argument
    add("--initializer", choices=linear.INITIALIZERS, default=default and default.initializer,
        help="of linear layers: Keras' default or PyTorch's (default keras)")  # fmt: skip
    add("--adam-epsilon", type=command_line.positive_number, metavar="EPSILON",
        default=default and default.adam_epsilon,
        help="default 1e-7, as Keras' own; PyTorch's is 1e-8")  # fmt: skip
    add("--relu-amplitude", action="store_true", default=default and default.relu_amplitude,
        help="a ReLU on the amplitude too")  # fmt: skip


def chosen_settings(options):
    """Return the settings of all rows that the options of `add_settings` ask for."""
    fields = {field.name for field in dataclasses.fields(Setting)}
    given = {key: value for key, value in vars(options).items() if key in fields}
    default = default_setting(options.dataset)
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
