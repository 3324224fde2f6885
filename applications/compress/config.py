"""The setting that identifies a trained model, and the presets of the data sets."""

import dataclasses

from applications.experiment import result_table

PIXELS = ("binary", "shades")


# Values of the options of `applications.compress` that are not given, and the shape of a latent.
_DIGITS = dict(
    blocks=8, block_dim=2, rate=4.0, bits=8, rates=(1.0, 2.0, 3.0, 4.0, 5.0), betas=(0.3, 1.0),
    units=256, epochs=60, images=360,
)  # fmt: skip
_MNIST = dict(
    blocks=8, block_dim=4, rate=8.0, bits=14, rates=(2.0, 4.0, 6.0, 8.0, 10.0), betas=(0.15, 0.3),
    units=256, epochs=12, images=200,
)  # fmt: skip
_CIFAR10 = dict(
    blocks=64, block_dim=4, rate=6.0, bits=11, rates=(2.0, 4.0, 6.0, 7.0), betas=(2.0, 6.0),
    units=32, epochs=10, images=100,
)  # fmt: skip
PRESETS = {
    ("digits", "shades"): _DIGITS,
    ("digits", "binary"): _DIGITS,
    ("mnist", "binary"): _MNIST,
    ("mnist", "shades"): _MNIST,
    ("cifar10", "shades"): _CIFAR10,
}
USUAL_PIXELS = {"digits": "shades", "mnist": "binary", "cifar10": "shades"}


def table_name(dataset, pixels):
    """Return the name of the files of a data set: "mnist", or "mnist_shades" for its other pixels.

    Args:
        dataset: String. Name of the data set.
        pixels: String. One of `PIXELS`.
    """
    return dataset if USUAL_PIXELS[dataset] == pixels else f"{dataset}_{pixels}"


@dataclasses.dataclass(frozen=True)
class CoderSetting:
    """The options that identify a trained model."""

    dataset: str
    # "binary" for pixels that are 0 or 1 and a Bernoulli likelihood, or "shades" for pixels in
    # [0, 1] and a normal likelihood.
    pixels: str
    rate: float = 0.0  # of a block in nats, or 0 for a beta-VAE
    beta: float = 0.0  # KL weight of a beta-VAE, or 0 for a fixed rate
    # Whether the imaginary parts of amplitudes are folded to `-|b|`, so that no posterior is
    # wider than the prior.
    folded: bool = False
    blocks: int = 8  # of an image's latent; for CIFAR-10, the positions of the latent map
    block_dim: int = 4  # latent dimensions of a block
    units: int = 256  # width of the hidden layers, or of the widest convolution
    noise: float = 0.1  # standard deviation of the normal likelihood, for pixels in [0, 1]
    epochs: int = 10
    batch_size: int = 100  # images per training step
    learning_rate: float = 2e-3  # peak learning rate of Adam
    seed: int = 0  # of weights, order and noise

    @property
    def name(self):
        """How tables and messages call the model: "rate 8", "rate 8, folded" or "beta 0.5"."""
        words = f"rate {self.rate:g}" if self.rate else f"beta {self.beta:g}"
        return f"{words}, folded" if self.folded else words

    @property
    def is_convolutional(self):
        """Whether every position of a latent map is a block."""
        return self.dataset == "cifar10"

    def label(self, data_sha256):
        """Return a unique name for the model's files."""
        name = self.name.replace(", ", "_").replace(" ", "")
        words = f"{table_name(self.dataset, self.pixels)}_{name}_epochs{self.epochs}"
        return result_table.label(words, dataclasses.asdict(self), data_sha256)

    def columns(self):
        """Return the columns that identify the model, as strings."""
        columns = {name: str(value) for name, value in dataclasses.asdict(self).items()}
        if self.pixels == "binary":
            columns["noise"] = ""
        return columns
