"""What decides a row of Table 2, and its rows at the paper's scale and a short one."""

import dataclasses
import hashlib
import json

from applications.table2.variants import VARIANTS

# What a short run changes. A learnable rate moves faster: just so much that it can fall from
# 80 nats to 0 in the run, and leaves the decoder what time there is to find a use for them.
_SHORT = {
    "num_layers": 1,
    "units": 128,
    "embedding_dim": 128,
    "epochs": 4,
    "learning_rate": 2e-3,
    "rate_scale": 20.0,
    "test_documents": 500,
}
PRESETS = ("paper", "short")


def table2_rows(dataset, preset):
    """Return the settings of the paper's rows for a text, in its order.

    Args:
        dataset: Name of the text.
        preset: "paper", or "short": one layer of width 128 in each part, 4 epochs.
    """
    changes = {"paper": {}, "short": _SHORT}[preset]
    return [TextSetting(dataset=dataset, row=row, **changes) for row in VARIANTS]


def preset_of(setting):
    """Return the preset that a setting is of, whatever its seed, or ""."""
    setting = dataclasses.replace(setting, seed=0)
    for preset in PRESETS:
        if setting in table2_rows(setting.dataset, preset):
            return preset
    return ""


@dataclasses.dataclass(frozen=True)
class TextSetting:
    """What decides a row; the defaults are the paper's where it names a value.

    Attributes:
        dataset: Name of the text.
        row: Name of the row, in `variants.VARIANTS`.
        num_layers: LSTM layers of the encoder, and of the decoder.
        units: Their width.
        embedding_dim: Width of the tokens' embeddings.
        latent_dim: Number of latent dimensions.
        dropout: Between the decoder's layers.
        epochs: The paper: 400.
        batch_size: Not in the paper.
        learning_rate: Of Adam at its peak. Not in the paper.
        warmup: Share of the training steps in which the learning rate rises.
        rate_scale: Of a learnable rate, see `keras_slashed.rates.LearnableRate`.
        seed: Of weights, order, noise and evaluation.
        num_samples: Draws of z for each document in the NLL.
        test_documents: Of the test part, how many are evaluated; 0 for all.
    """

    dataset: str = "ptb"
    row: str = "vae"
    num_layers: int = 3
    units: int = 512
    embedding_dim: int = 512
    latent_dim: int = 32
    dropout: float = 0.2
    epochs: int = 400
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1
    rate_scale: float = 1.0
    seed: int = 0
    num_samples: int = 100
    test_documents: int = 0

    @property
    def variant(self):
        """The row's `Variant`."""
        return VARIANTS[self.row]

    @property
    def has_latent(self):
        """Whether the row has a z: the plain language model has none."""
        return "latent_dim" not in self.variant.fixed

    def build_options(self):
        """Return the options of `lstm_vae.build`, without the vocabulary's size."""
        sizes = ("num_layers", "units", "embedding_dim", "latent_dim", "dropout", "seed")
        options = {name: getattr(self, name) for name in sizes}
        return {**options, **self.variant.build_options(self.rate_scale)}

    def label(self, data_sha256):
        """Return a name for the row's files that no other setting has."""
        everything = json.dumps([dataclasses.asdict(self), data_sha256], sort_keys=True)
        digest = hashlib.sha256(everything.encode()).hexdigest()[:8]
        return f"{self.dataset}_{self.row}_epochs{self.epochs}_seed{self.seed}_{digest}"

    def columns(self):
        """Return the row's columns that say what it is, as strings."""
        columns = {key: str(value) for key, value in dataclasses.asdict(self).items()}
        if self.variant.learnable is None:
            columns["rate_scale"] = ""
        if not self.has_latent:
            columns.update(latent_dim="", num_samples="")
        return columns
