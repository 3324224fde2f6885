"""Estimates of a mean square from those of the batches that training has seen.

The moving mean square is read at inference alone and changes nothing in training: one
training with the mean square of every batch recorded serves all estimates.
"""

import functools

import numpy as np


def moving_average(squares, momentum):
    """Return the debiased exponential average, as `RateNormalization` keeps it.

    Args:
        squares: Array of the batches' mean squares, the oldest first.
        momentum: In [0, 1).
    """
    weights = float(momentum) ** np.arange(len(squares))[::-1]
    return np.average(squares, axis=0, weights=weights)


def growth_corrected(squares, momentum):
    """Return twice the average less the average of the averages (Brown's, of a linear trend).

    It needs a second statistic in the layer, and is not bound to be positive.
    """
    total, weight = np.zeros_like(squares[0]), 0.0
    totals, weights = np.zeros_like(squares[0]), 0.0
    for square in squares:
        total = momentum * total + (1.0 - momentum) * square
        weight = momentum * weight + (1.0 - momentum)
        totals = momentum * totals + (1.0 - momentum) * total / weight
        weights = momentum * weights + (1.0 - momentum)
    return 2.0 * total / weight - totals / weights


def last_mean(squares, number):
    """Return the mean of the last batches, an epoch's if that is their number."""
    return np.mean(squares[-number:], axis=0)


def estimates(squares, steps_per_epoch):
    """Return estimates of a mean square by name.

    Args:
        squares: Array of the batches' mean squares since training began, the oldest first.
        steps_per_epoch: Number of batches of an epoch.
    """
    functions = {
        **{f"momentum {m}": functools.partial(moving_average, momentum=m) for m in _MOMENTA},
        "mean of the last epoch": functools.partial(last_mean, number=steps_per_epoch),
        "momentum 0.9, corrected for growth": functools.partial(growth_corrected, momentum=0.9),
    }
    return {name: function(squares) for name, function in functions.items()}


_MOMENTA = (0.99, 0.95, 0.9, 0.8, 0.5)
