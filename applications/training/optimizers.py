"""Adam with either kind of weight decay, and the one-cycle learning rate."""

import math

import keras


def one_cycle(peak, steps, warmup=0.1):
    """Return a schedule that rises from `peak / 25` to `peak`, and falls to `peak / 250,000`.

    The three values are those of `torch.optim.lr_scheduler.OneCycleLR`. This schedule rises
    linearly, while PyTorch's rises along half a cosine. Both fall along half a cosine.

    Args:
        peak: Float. Largest learning rate.
        steps: Integer. Total number of training steps.
        warmup: Float in [0, 1]. Fraction of the steps in which the learning rate rises.

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
        learning_rate: Float or `keras.optimizers.schedules.LearningRateSchedule`.
        weight_decay: Float. Strength of the decay. Use 0 for none.
        kind: String. "coupled" is an L2 penalty whose gradient Adam rescales like any other,
            as in `torch.optim.Adam(weight_decay=...)`. "decoupled" is that of AdamW
            (Loshchilov and Hutter 2019), like Keras' own `weight_decay`.
        **options: Further keyword arguments of `keras.optimizers.Adam`.

    Raises:
        ValueError: If `kind` is unknown.
    """
    if kind == "decoupled":
        return keras.optimizers.Adam(learning_rate, weight_decay=weight_decay or None, **options)
    if kind == "coupled":
        return CoupledAdam(learning_rate, penalty=weight_decay, **options)
    raise ValueError(f"Argument `kind` must be one of {WEIGHT_DECAYS}. Received: kind={kind!r}")


@keras.saving.register_keras_serializable(package="keras_slashed_applications")
class CoupledAdam(keras.optimizers.Adam):
    """Adam on the loss plus `penalty / 2 ||w||^2`. The reported loss excludes the penalty."""

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
