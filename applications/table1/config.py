"""The setting that identifies a row of Table 1."""

import dataclasses
import math

from applications.experiment import result_table

NORMALIZATIONS = ("batch", "instance", "feature")
PARTS = ("both", "mean")  # the parts of the amplitude to normalize
# Columns that do not apply to a row without a VIB, or of another model.
_FIXED_RATE_COLUMNS = ("r", "part", "momentum")
_STOCHASTIC_COLUMNS = ("relu_amplitude", "num_samples", "attack_samples")
_RESNET_COLUMNS = ("stem", "width", "augment")
# Columns that older tables lack, with the values that their rows were made with.
ADDED_COLUMNS = {"initializer": "keras", "adam_epsilon": "1e-07"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """The options that identify a row. If the paper names a value for MNIST, it is the default."""

    dataset: str = "mnist"  # name of the data set
    model: str = "mlp"  # "mlp" or "resnet18"
    bottleneck: str = "vib"  # "none", "dropout", "vib" or "beta_vib", which the paper's table lacks
    normalization: str = "batch"  # of the VIB
    rate_multiplier: float = 1.0  # r, which sets the rate to `r log(number of classes)` nats
    beta: float = 0.0  # weight of the rate in the loss of a "beta_vib" (Alemi et al. 2017)
    part: str = "both"  # part of the amplitude to normalize, "both" or "mean"
    epochs: int = 400  # number of epochs; the paper uses 400
    batch_size: int = 100  # not in the paper
    seed: int = 0  # of weights, shuffling and noise
    learning_rate: float = 1e-4  # initial learning rate of Adam
    learning_rate_decay: float = 0.99  # factor of the learning rate every 2 epochs
    weight_decay: float = 1e-4  # strength of the weight decay; the paper does not state its kind
    weight_decay_kind: str = "coupled"  # "coupled" as in PyTorch's Adam, or "decoupled"
    adam_epsilon: float = 1e-7  # Keras' default is 1e-7, PyTorch's is 1e-8; not in the paper
    initializer: str = "keras"  # of linear layers, "keras" or "torch"; not in the paper
    relu_amplitude: bool = False  # whether the amplitude goes through a ReLU; not in the paper
    momentum: float = 0.99  # of the moving mean square, in [0, 1); not in the paper
    num_samples: int = 12  # number of posterior draws that the evaluation averages
    attack_samples: int = 12  # number of draws that the attacked loss averages; not in the paper
    stem: str = "cifar"  # of the ResNet18, "cifar" or "imagenet"; not in the paper
    width: int = 64  # of the ResNet18's first stage; torchvision has 64
    # Whether the ResNet18 trains on shifted and mirrored images. Not in the paper.
    augment: bool = True
    dtype_policy: str = "float32"  # of the layers

    @property
    def row_name(self):
        """The row's name in Table 1: a normalization, "base", "dropout" or "beta_vib"."""
        return {"vib": self.normalization, "none": "base"}.get(self.bottleneck, self.bottleneck)

    @property
    def is_stochastic(self):
        """Whether the bottleneck draws samples at some rate."""
        return self.bottleneck in ("vib", "beta_vib")

    @property
    def short_name(self):
        """The row's name with its r or beta."""
        values = {"vib": f"_r{self.rate_multiplier:g}", "beta_vib": f"_{self.beta:g}"}
        return f"{self.row_name}{values.get(self.bottleneck, '')}"

    def target_rate(self, num_classes):
        """Return the rate in nats."""
        return self.rate_multiplier * math.log(num_classes)

    def shape(self):
        """Return the setting without what can change between rows of one compilation."""
        return dataclasses.replace(
            self, rate_multiplier=1.0, beta=0.0, seed=0, epochs=0, initializer="keras"
        )

    def label(self, data_sha256):
        """Return a unique name for the row's files."""
        # Defaults are left out, so that a new attribute does not change old names.
        default = dataclasses.asdict(Setting())
        # So is what does not apply to the row.
        columns = self.columns()
        mine = {
            key: value
            for key, value in dataclasses.asdict(self).items()
            if value != default[key] and columns.get(key) != ""
        }
        words = f"{self.dataset}_{self.short_name}_epochs{self.epochs}_seed{self.seed}"
        return result_table.label(words, mine, data_sha256)

    def columns(self):
        """Return the columns that identify the row, as strings."""
        row = {key: str(value) for key, value in dataclasses.asdict(self).items()}
        del row["bottleneck"]
        row["normalization"] = self.row_name
        row["r"] = f"{self.rate_multiplier:g}"
        del row["rate_multiplier"]
        row["beta"] = f"{self.beta:g}" if self.bottleneck == "beta_vib" else ""
        if self.bottleneck != "vib":
            row.update(dict.fromkeys(_FIXED_RATE_COLUMNS, ""))
        if not self.is_stochastic:
            row.update(dict.fromkeys(_STOCHASTIC_COLUMNS, ""))
        if self.model == "mlp":
            row.update(dict.fromkeys(_RESNET_COLUMNS, ""))
        return row


def default_setting(dataset):
    """Return the paper's setting for a data set (appendix E.2).

    In the paper, CIFAR-10 "closely follows" MNIST. Its epochs, batch size and weight decay are
    therefore those of MNIST. Stem, width and augmentation are the usual ones for 32x32 images.
    """
    if dataset.startswith("cifar10"):
        return Setting(
            dataset=dataset, model="resnet18", learning_rate=2e-4, learning_rate_decay=0.98
        )
    return Setting(dataset=dataset)
