"""Adam with weight decay, in the two ways the name is used, and the one-cycle learning rate."""

import math

import keras


def one_cycle(peak, steps, warmup=0.1):
    """Return a schedule that rises from `peak / 25` to `peak`, and falls to `peak / 250,000`.

    The three values are those of `torch.optim.lr_scheduler.OneCycleLR`. It rises
    linearly, where PyTorch's takes half a cosine, and falls as half a cosine does.

    Args:
        peak: Greatest learning rate.
        steps: Training steps in all.
        warmup: Share of them in which it rises.

    Reference:
        Smith and Topin, Super-Convergence, 2018; Slashed Normal, appendix F.2.
    """
    rise = min(max(1, math.ceil(warmup * steps)), max(1, steps - 1))
    return keras.optimizers.schedules.CosineDecay(
        peak / 25,
        decay_steps=max(1, steps - rise),
        alpha=1 / 250_000,
        warmup_target=peak,
        warmup_steps=rise,
    )


WEIGHT_DECAYS = ("coupled", "decoupled")


def build_adam(learning_rate, weight_decay, kind="coupled", **options):
    """Return Adam with a weight decay.

    Args:
        learning_rate: A number or a schedule.
        weight_decay: Strength of the decay; 0 for none.
        kind: "coupled", an L2 penalty whose gradient Adam rescales like any
            other (`torch.optim.Adam(weight_decay=...)`), or "decoupled", as in
            AdamW (Loshchilov and Hutter 2019; Keras' own `weight_decay`).
        **options: Of `keras.optimizers.Adam`.

    Raises:
        ValueError: An unknown kind.
    """
    if kind == "decoupled":
        return keras.optimizers.Adam(learning_rate, weight_decay=weight_decay or None, **options)
    if kind == "coupled":
        return CoupledAdam(learning_rate, penalty=weight_decay, **options)
    raise ValueError(f"Argument `kind` must be one of {WEIGHT_DECAYS}. Received: kind={kind!r}")


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class CoupledAdam(keras.optimizers.Adam):
    """Adam on the loss plus `penalty / 2 ||w||^2`, which the loss shown leaves out."""

    def __init__(self, learning_rate=1e-3, penalty=0.0, **options):
        super().__init__(learning_rate, **options)
        self.penalty = penalty

    def apply(self, grads, trainable_variables=None):
        variables = trainable_variables
        if variables is None:
            variables = self._trainable_variables
        grads = [
            gradient if gradient is None else gradient + self.penalty * variable
            for gradient, variable in zip(grads, variables)
        ]
        super().apply(grads, trainable_variables)

    def get_config(self):
        return {**super().get_config(), "penalty": self.penalty}
