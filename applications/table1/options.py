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
    """Add the options for the scale of the paper's rows to a parser. See `parse_scaled`."""
    parser.add_preset(PRESETS)
    parser.add_first_images()


def parse_scaled(parser, arguments):
    """Return the options of a parser with `add_scale`, including the images of the preset."""
    options = parser.parse_args(arguments)
    train, test = preset_images(options.dataset, options.preset)
    return command_line.fill(options, {"train_images": train, "test_images": test})


def add_settings(parser, default):
    """Add the options that choose rows freely to a parser.

    Args:
        parser: `command_line.Parser` to extend.
        default: `Setting` with the defaults of a data set.
    """
    positive, positive_number = command_line.positive, command_line.positive_number

    def add(name, type=None, **more):
        """Add an option that is a field of the setting."""
        parser.add(f"--{name.replace('_', '-')}", type, getattr(default, name), **more)

    parser.add("--bottleneck", default=["vib"], choices=("none", "dropout", "vib"))
    parser.add("--normalization", default=["batch"], choices=NORMALIZATIONS)
    parser.add("--rate-multiplier", positive_number, [1.0], metavar="R",
               help="the rate is R log(10) nats")  # fmt: skip
    parser.add("--epochs", positive, 20, metavar="E", help="number of epochs; the paper uses 400")
    parser.add("--seed", command_line.seed, [0], metavar="S")
    add("part", choices=PARTS)
    add("batch_size", positive, metavar="N")
    add("learning_rate", positive_number, metavar="R", help="initial learning rate of Adam")
    add("learning_rate_decay", positive_number, metavar="FACTOR",
        help="factor of the learning rate every 2 epochs")  # fmt: skip
    add("weight_decay", command_line.nonnegative_number, metavar="W")
    add("weight_decay_kind", choices=optimizers.WEIGHT_DECAYS,
        help="coupled is that of PyTorch's Adam")  # fmt: skip
    add_choices(parser, default)
    add("momentum", command_line.momentum, metavar="M", help="momentum of the moving mean square")
    add("num_samples", positive, metavar="N",
        help="number of posterior draws to average in evaluation")  # fmt: skip
    add("attack_samples", positive, metavar="N",
        help="number of draws to average in the attacked loss")  # fmt: skip
    add("dtype_policy", command_line.dtype_policy, metavar="POLICY",
        help="dtype policy, such as mixed_bfloat16")  # fmt: skip
    if default.model == "resnet18":
        add("width", positive, metavar="N", help="channels of the first stage")
        add("stem", choices=STEMS)
        parser.add_argument("--no-augmentation", dest="augment", action="store_false",
            help="train on the original images, neither shifted nor mirrored")  # fmt: skip


def add_choices(parser, default=None):
    """Add the options for what the paper, which used another framework, leaves open.

    Args:
        parser: `command_line.Parser` to extend.
        default: `Setting` with the defaults, or None for options that default to None.
    """
    parser.add("--initializer", default=default and default.initializer,
        choices=linear.INITIALIZERS, help="initial values of linear layers")  # fmt: skip
    parser.add("--adam-epsilon", command_line.positive_number, default and default.adam_epsilon,
        metavar="EPSILON",
        help="epsilon of Adam; Keras' default is 1e-7, PyTorch's is 1e-8")  # fmt: skip
    parser.add_argument("--relu-amplitude", action="store_true",
        default=default and default.relu_amplitude,
        help="apply a ReLU to the amplitude too")  # fmt: skip


def chosen_settings(options):
    """Return the settings of all rows that the options of `add_settings` select."""
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
