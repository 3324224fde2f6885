"""The options of the commands that train classifiers."""

import dataclasses

from applications.experiment import command_line
from applications.models import linear
from applications.models.resnet18 import STEMS
from applications.table1.config import NORMALIZATIONS
from applications.table1.config import PARTS
from applications.table1.config import Setting
from applications.table1.config import default_setting
from applications.table1.presets import PRESETS
from applications.table1.presets import preset_images
from applications.training import optimizers


def add_scale(parser):
    """Let a parser know the options on the scale of the paper's rows; see `parse_scaled`."""
    parser.add_preset(PRESETS)
    parser.add_first_images()


def parse_scaled(parser, arguments):
    """Return the options of a parser of `add_scale`, with the images of the preset."""
    options = parser.parse_args(arguments)
    train, test = preset_images(options.dataset, options.preset)
    return command_line.fill(options, {"train_images": train, "test_images": test})


def add_settings(parser, default):
    """Let a parser know the options that make the rows of a free choice.

    Args:
        parser: A `command_line.Parser`.
        default: A `Setting`, of a data set's model.
    """
    positive, positive_number = command_line.positive, command_line.positive_number

    def add(name, type=None, **more):
        """Add an option that is a field of the setting."""
        parser.add(f"--{name.replace('_', '-')}", type, getattr(default, name), **more)

    parser.add("--bottleneck", default=["vib"], choices=("none", "dropout", "vib"))
    parser.add("--normalization", default=["batch"], choices=NORMALIZATIONS)
    parser.add("--rate-multiplier", positive_number, [1.0], metavar="R",
               help="the rate is R log(10) nats")  # fmt: skip
    parser.add("--epochs", positive, 20, metavar="E", help="the paper: 400")
    parser.add("--seed", command_line.seed, [0], metavar="S")
    add("part", choices=PARTS)
    add("batch_size", positive, metavar="N")
    add("learning_rate", positive_number, metavar="R", help="of Adam at the start")
    add("learning_rate_decay", positive_number, metavar="FACTOR", help="every 2 epochs")
    add("weight_decay", command_line.nonnegative_number, metavar="W")
    add("weight_decay_kind", choices=optimizers.WEIGHT_DECAYS, help="coupled: as PyTorch's Adam")
    add_choices(parser, default)
    add("momentum", command_line.momentum, metavar="M", help="of the moving mean square")
    add("num_samples", positive, metavar="N", help="posterior draws averaged in evaluation")
    add("attack_samples", positive, metavar="N", help="draws averaged in the attacked loss")
    add("dtype_policy", command_line.dtype_policy, metavar="POLICY", help="like mixed_bfloat16")
    if default.model == "resnet18":
        add("width", positive, metavar="N", help="channels of the first stage")
        add("stem", choices=STEMS)
        parser.add_argument("--no-augmentation", dest="augment", action="store_false",
            help="train on the images as they are, neither shifted nor mirrored")  # fmt: skip


def add_choices(parser, default=None):
    """Let a parser know the options on what the paper, of another framework, leaves open.

    Args:
        parser: A `command_line.Parser`.
        default: A `Setting`, or None for options that are None where they are not given.
    """
    parser.add("--initializer", default=default and default.initializer,
        choices=linear.INITIALIZERS, help="of linear layers: Keras' own or PyTorch's")  # fmt: skip
    parser.add("--adam-epsilon", command_line.positive_number, default and default.adam_epsilon,
        metavar="EPSILON", help="Keras' own is 1e-7, PyTorch's 1e-8")  # fmt: skip
    parser.add_argument("--relu-amplitude", action="store_true",
        default=default and default.relu_amplitude, help="a ReLU on the amplitude too")  # fmt: skip


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
