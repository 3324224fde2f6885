"""The setting that identifies a trained model, and the presets of the data sets."""

import dataclasses

from applications.experiment import result_table

PIXELS = ("binary", "shades")


@dataclasses.dataclass(frozen=True)
class Preset:
    """What a data set and its pixels call for by default.

    Attributes:
        blocks: Integer. Blocks of an image's latent. For CIFAR-10 it is the number of positions
            of the latent map.
        block_dim: Integer. Latent dimensions of a block.
        rate: Float. Rate of a block in nats of the model whose codes are written to the file.
        bits: Integer. Bits of a block in the file.
        rates: Tuple of floats. Rates of a block of all models with a fixed rate.
        betas: Tuple of floats. KL weights of the beta-VAEs.
        units: Integer. Width of the hidden layers, or of the widest convolution.
        epochs: Integer. Number of epochs.
        images: Integer. Number of first test images to encode.
    """

    blocks: int
    block_dim: int
    rate: float
    bits: int
    rates: tuple
    betas: tuple
    units: int
    epochs: int
    images: int


_DIGITS = Preset(8, 2, 4.0, 8, (1.0, 2.0, 3.0, 4.0, 5.0), (0.3, 1.0), 256, 60, 360)
_MNIST = Preset(8, 4, 8.0, 14, (2.0, 4.0, 6.0, 8.0, 10.0), (0.15, 0.3), 256, 12, 200)
PRESETS = {
    ("digits", "shades"): _DIGITS,
    ("digits", "binary"): _DIGITS,
    ("mnist", "binary"): _MNIST,
    ("mnist", "shades"): _MNIST,
    ("cifar10", "shades"): Preset(64, 4, 6.0, 11, (2.0, 4.0, 6.0, 7.0), (2.0, 6.0), 32, 10, 100),
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
    """The options that identify a trained model.

    Attributes:
        dataset: String. Name of the data set.
        pixels: String. "binary" for pixels that are 0 or 1 and a Bernoulli likelihood, or
            "shades" for pixels in [0, 1] and a normal likelihood.
        rate: Float. Rate of a block in nats, or 0 for a beta-VAE.
        beta: Float. KL weight of a beta-VAE, or 0 for a fixed rate.
        folded: Boolean. Whether the imaginary parts of amplitudes are folded to `-|b|`, so that
            no posterior is wider than the prior.
        blocks: Integer. Blocks of an image.
        block_dim: Integer. Latent dimensions of a block.
        units: Integer. Width of the hidden layers, or of the widest convolution.
        noise: Float. Standard deviation of the normal likelihood, for pixels in [0, 1].
        epochs: Integer. Number of epochs.
        batch_size: Integer. Images per training step.
        learning_rate: Float. Peak learning rate of Adam.
        seed: Integer. Seed of weights, order and noise.
    """

    dataset: str
    pixels: str
    rate: float = 0.0
    beta: float = 0.0
    folded: bool = False
    blocks: int = 8
    block_dim: int = 4
    units: int = 256
    noise: float = 0.1
    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 2e-3
    seed: int = 0

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
