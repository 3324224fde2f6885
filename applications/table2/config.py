"""The setting that identifies a row of Table 2, and the rows of both presets."""

import dataclasses

from applications.experiment import result_table
from applications.table2.variants import VARIANTS

# What a short run changes. A learnable rate moves faster, just fast enough to fall from 80 nats
# to 0 within the run. A larger scale would leave the decoder less time to use these nats.
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
    """Return the settings of the paper's rows for a text, in the paper's order.

    Args:
        dataset: String. Name of the text.
        preset: String. "paper" is the paper's scale. "short" is one layer of width 128 in
            encoder and decoder, and 4 epochs.
    """
    changes = {"paper": {}, "short": _SHORT}[preset]
    return [TextSetting(dataset=dataset, row=row, **changes) for row in VARIANTS]


def preset_of(setting):
    """Return the preset that a setting belongs to, whatever its seed, or ""."""
    setting = dataclasses.replace(setting, seed=0)
    for preset in PRESETS:
        if setting in table2_rows(setting.dataset, preset):
            return preset
    return ""


@dataclasses.dataclass(frozen=True)
class TextSetting:
    """The options that identify a row. If the paper names a value, it is the default."""

    dataset: str = "ptb"  # name of the text
    row: str = "vae"  # name of the row in `variants.VARIANTS`
    num_layers: int = 3  # number of LSTM layers in the encoder and in the decoder
    units: int = 512  # width of the LSTM layers
    embedding_dim: int = 512  # width of the tokens' embeddings
    latent_dim: int = 32  # number of latent dimensions
    dropout: float = 0.2  # rate of the dropout between the decoder's layers
    epochs: int = 400  # number of epochs; the paper uses 400
    batch_size: int = 32  # not in the paper
    learning_rate: float = 1e-3  # peak learning rate of Adam; not in the paper
    warmup: float = 0.1  # fraction of the training steps in which the learning rate rises
    rate_scale: float = 1.0  # scale of a learnable rate, as in `keras_slashed.rates.LearnableRate`
    seed: int = 0  # of weights, order, noise and evaluation
    num_samples: int = 100  # draws of z per document in the NLL
    test_documents: int = 0  # number of test documents to evaluate, 0 for all

    @property
    def variant(self):
        """The row's `Variant`."""
        return VARIANTS[self.row]

    @property
    def has_latent(self):
        """Whether the row has a z. The plain language model has none."""
        return "latent_dim" not in self.variant.fixed

    def build_options(self):
        """Return the options of `lstm_vae.build`, without the vocabulary's size."""
        sizes = ("num_layers", "units", "embedding_dim", "latent_dim", "dropout", "seed")
        options = {name: getattr(self, name) for name in sizes}
        return {**options, **self.variant.build_options(self.rate_scale)}

    def label(self, data_sha256):
        """Return a unique name for the row's files."""
        words = f"{self.dataset}_{self.row}_epochs{self.epochs}_seed{self.seed}"
        return result_table.label(words, dataclasses.asdict(self), data_sha256)

    def columns(self):
        """Return the columns that identify the row, as strings."""
        columns = {key: str(value) for key, value in dataclasses.asdict(self).items()}
        if self.variant.learnable is None:
            columns["rate_scale"] = ""
        if not self.has_latent:
            columns.update(latent_dim="", num_samples="")
        return columns
