"""The setting that identifies a row of `applications.disentangle`."""

import dataclasses

from applications.experiment import result_table

ROWS = {
    "vae": "VAE",
    "beta_vae": "beta-VAE",
    "penalty": "penalty on KL - C",
    "batch": 'FixedRateVIB, "batch"',
    "feature": 'FixedRateVIB, "feature"',
    "committed": "committed rate",
}
GAMMAS = (10.0, 1000.0)  # the second one is that of Burgess et al. (2018)
# Rows whose rate follows a schedule.
SCHEDULED = ("penalty", "batch", "feature")
# Columns of only some of the rows.
_ONLY = {
    "beta": ("vae", "beta_vae"),
    "gamma": ("penalty",),
    "capacity": (*SCHEDULED, "committed"),
    "initial": SCHEDULED,
    "warmup": SCHEDULED,
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """The options that identify a row."""

    dataset: str = "sprites"  # name of the data set
    row: str = "vae"  # one of `ROWS`
    epochs: int = 24  # number of epochs; the schedules change the rate between epochs
    steps: int = 50  # number of training steps in an epoch
    batch_size: int = 32  # number of images in a batch
    latent_dim: int = 10  # number of latent dimensions
    width: int = 16  # number of channels of the first convolutions
    learning_rate: float = 1e-3  # of Adam
    beta: float = 4.0  # weight of the KL in a beta-VAE
    gamma: float = 1000.0  # weight of the penalty |KL - C|
    capacity: float = 12.0  # last C, last rate of a schedule, or committed rate, in nats
    initial: float = 0.5  # first C, and first rate of a schedule, in nats
    warmup: float = 0.75  # share of the epochs after which a schedule is at its end
    seed: int = 0  # of weights, order, noise and measures

    @property
    def warmup_epochs(self):
        """Number of epochs until a schedule is at its end."""
        return max(1, round(self.warmup * self.epochs))

    @property
    def kl_weight(self):
        """Weight of the rate in the loss."""
        return {"vae": 1.0, "beta_vae": self.beta, "committed": 1.0}.get(self.row, 0.0)

    def asked(self, epoch):
        """Return the rate that a schedule asks for in an epoch, in nats."""
        share = min(epoch / self.warmup_epochs, 1.0)
        return self.initial + share * (self.capacity - self.initial)

    def label(self, data_sha256):
        """Return a unique name for the row's files."""
        words = f"{self.dataset}_{self.row}_epochs{self.epochs}_seed{self.seed}"
        return result_table.label(words, self.columns(), data_sha256)

    def columns(self):
        """Return the columns that identify the row, as strings."""
        row = {key: str(value) for key, value in dataclasses.asdict(self).items()}
        if self.row == "vae":
            row["beta"] = "1.0"
        row.update({name: "" for name, rows in _ONLY.items() if self.row not in rows})
        return row


def title(row):
    """Return the name of a row, a dict of strings, with the weight that it has."""
    weights = {"beta_vae": f", beta {row['beta']}", "penalty": f", gamma {row['gamma']}"}
    return f"{ROWS[row['row']]}{weights.get(row['row'], '').removesuffix('.0')}"
