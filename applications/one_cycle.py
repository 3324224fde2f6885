"""The learning rate of one cycle: up, then down to next to nothing."""

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
