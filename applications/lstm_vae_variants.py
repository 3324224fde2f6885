"""The rows of Table 2: what makes each of them."""

import dataclasses
import math

from keras_slashed.callbacks import CyclicalAnnealing
from keras_slashed.callbacks import KLWarmup
from keras_slashed.rates import CommittedRate
from keras_slashed.rates import LearnableRate

COMMITTED_NATS = 6.0
DECOUPLED_NATS = (2, 8, 20, 40, 80)
# The paper names none. With 32 latent dimensions 0.6 makes KL >= 5.76, and the table has 5.88.
BATCH_NORM_GAMMA = 0.6


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of Table 2.

    Attributes:
        title: The row's name in the paper.
        fixed: Options of `lstm_vae.build`.
        committed: Nats of a committed rate, or None.
        learnable: Nats that a learnable rate starts from, or None.
        annealing: Of the KL's weight: None, "warmup" or "cyclic".
    """

    title: str
    fixed: dict = dataclasses.field(default_factory=dict)
    committed: float | None = None
    learnable: float | None = None
    annealing: str | None = None

    def build_options(self, rate_scale=1.0):
        """Return options of `lstm_vae.build`, with a rate layer of their own.

        Args:
            rate_scale: Of a learnable rate.
        """
        options = dict(self.fixed)
        if self.committed is not None:
            options["rate"] = CommittedRate(self.committed)
        if self.learnable is not None:
            options["rate"] = LearnableRate(self.learnable, rate_scale)
        return options

    def callbacks(self, steps, warmup=0.1):
        """Return the callbacks that anneal the KL's weight.

        Args:
            steps: Number of training steps in all.
            warmup: Share of them in which the weight grows, for "warmup". The paper
                says nothing of either schedule; "cyclic" is Fu et al.'s: four cycles,
                growing over half of each.
        """
        if self.annealing == "warmup":
            return [KLWarmup(steps=max(1, math.ceil(warmup * steps)))]
        if self.annealing == "cyclic":
            return [CyclicalAnnealing(steps=steps, cycles=4, ratio=0.5)]
        return []


def _variants():
    rows = {
        "lstm": Variant("LSTM", {"latent_dim": None}),
        "vae": Variant("LSTM VAE"),
        "warmup": Variant("LSTM VAE Warmup", annealing="warmup"),
        "cyclic": Variant("LSTM VAE Cyclic", annealing="cyclic"),
    }
    for normalization in ("batch", "instance", "feature"):
        for part, suffix, title in (("mean", "_mean", " Mean only"), ("both", "", "")):
            rows[normalization + suffix] = Variant(
                f"{normalization.capitalize()}{title} δ₀ = {COMMITTED_NATS:g}",
                {"normalization": normalization, "part": part},
                committed=COMMITTED_NATS,
            )
    rows["batchnorm"] = Variant("BatchNorm", {"batch_norm_gamma": BATCH_NORM_GAMMA})
    rows["skip"] = Variant("LSTM+Skip Connection", {"skip": True})
    for nats in DECOUPLED_NATS:
        rows[f"decoupled_{nats}"] = Variant(
            f"Decoupled Learnable Rate, init δ = {nats}", {"normalization": "batch"}, learnable=nats
        )
    return rows


VARIANTS = _variants()
