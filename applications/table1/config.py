"""What decides a row of Table 1."""

import dataclasses
import hashlib
import json
import math

NORMALIZATIONS = ("batch", "instance", "feature")
PARTS = ("both", "mean")  # of the amplitude, to be normalized
# Columns that say nothing about a row without a VIB, or of another model.
_FIXED_RATE_COLUMNS = ("r", "part", "momentum")
_STOCHASTIC_COLUMNS = ("relu_amplitude", "num_samples", "attack_samples")
_RESNET_COLUMNS = ("stem", "width", "augment")
# Columns that older tables lack, with what their rows were made with.
ADDED_COLUMNS = {"initializer": "keras", "adam_epsilon": "1e-07"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What decides a row; the defaults are the paper's for MNIST where it names a value.

    Attributes:
        dataset: Name of the data set.
        model: "mlp" or "resnet18".
        bottleneck: "none", "dropout", "vib", or "beta_vib", which the paper's table lacks.
        normalization: Of the VIB.
        rate_multiplier: r: the rate is `r log(number of classes)` nats.
        beta: Weight of the rate in the loss of a "beta_vib" (Alemi et al. 2017).
        part: Of the amplitude that is normalized.
        epochs: The paper: 400.
        batch_size: Not in the paper.
        seed: Of weights, shuffling and noise.
        learning_rate: Of Adam at the start.
        learning_rate_decay: Factor of the learning rate every 2 epochs.
        weight_decay: The paper does not say which kind.
        weight_decay_kind: "coupled" as in PyTorch's Adam, or "decoupled".
        adam_epsilon: Keras' default is 1e-7, PyTorch's 1e-8. Not in the paper.
        initializer: Of linear layers, "keras" or "torch". Not in the paper.
        relu_amplitude: Whether the amplitude goes through a ReLU. Not in the paper.
        momentum: Of the moving mean square. Not in the paper.
        num_samples: Posterior draws averaged in evaluation.
        attack_samples: Draws averaged in the attacked loss. Not in the paper.
        stem: Of the ResNet18: "cifar" or "imagenet". Not in the paper.
        width: Of the ResNet18's first stage; torchvision's is 64.
        augment: Whether the ResNet18 trains on shifted and mirrored images. Not in
            the paper.
        dtype_policy: Of the layers.
    """

    dataset: str = "mnist"
    model: str = "mlp"
    bottleneck: str = "vib"
    normalization: str = "batch"
    rate_multiplier: float = 1.0
    beta: float = 0.0
    part: str = "both"
    epochs: int = 400
    batch_size: int = 100
    seed: int = 0
    learning_rate: float = 1e-4
    learning_rate_decay: float = 0.99
    weight_decay: float = 1e-4
    weight_decay_kind: str = "coupled"
    adam_epsilon: float = 1e-7
    initializer: str = "keras"
    relu_amplitude: bool = False
    momentum: float = 0.99
    num_samples: int = 12
    attack_samples: int = 12
    stem: str = "cifar"
    width: int = 64
    augment: bool = True
    dtype_policy: str = "float32"

    @property
    def row_name(self):
        """The row's name in Table 1: a normalization, "base" or "dropout"; or "beta_vib"."""
        return {"vib": self.normalization, "none": "base"}.get(self.bottleneck, self.bottleneck)

    @property
    def is_stochastic(self):
        """Whether the bottleneck draws, at a rate."""
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
        """Return what one compilation serves: the setting without what is state, or makes it."""
        return dataclasses.replace(
            self, rate_multiplier=1.0, beta=0.0, seed=0, epochs=0, initializer="keras"
        )

    def label(self, data_sha256):
        """Return a name for the row's files that no other setting has."""
        # What is as by default stays out: further attributes leave old names as they are.
        default = dataclasses.asdict(Setting())
        # So does what does not concern the row.
        columns = self.columns()
        mine = {
            key: value
            for key, value in dataclasses.asdict(self).items()
            if value != default[key] and columns.get(key) != ""
        }
        everything = json.dumps([mine, data_sha256], sort_keys=True)
        digest = hashlib.sha256(everything.encode()).hexdigest()[:8]
        return f"{self.dataset}_{self.short_name}_epochs{self.epochs}_seed{self.seed}_{digest}"

    def columns(self):
        """Return the row's columns that say what it is, as strings."""
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

    For CIFAR-10, which "closely follows" MNIST, the epochs, the batch size and the
    weight decay are MNIST's; stem, width and augmentation are what is usual for 32x32
    images.
    """
    if dataset.startswith("cifar10"):
        return Setting(
            dataset=dataset, model="resnet18", learning_rate=2e-4, learning_rate_decay=0.98
        )
    return Setting(dataset=dataset)
