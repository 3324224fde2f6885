"""Estimates of a mean square from the mean squares of the training batches.

Only inference reads the moving mean square, and training does not depend on it. One training
that records the mean square of every batch therefore serves all estimates.
"""

import functools

import numpy as np


def moving_average(squares, momentum):
    """Return the debiased exponential average that `RateNormalization` keeps.

    Args:
        squares: Array of the batches' mean squares, the oldest first.
        momentum: Float in [0, 1). Momentum of the average.
    """
    weights = float(momentum) ** np.arange(len(squares))[::-1]
    return np.average(squares, axis=0, weights=weights)


def growth_corrected(squares, momentum):
    """Return twice the average minus the average of the averages (Brown's, for linear trends).

    It needs a second statistic in the layer, and it is not always positive.
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
    """Return the mean over the last `number` batches, for example those of an epoch."""
    return np.mean(squares[-number:], axis=0)


def estimates(squares, steps_per_epoch):
    """Return estimates of a mean square by name.

    Args:
        squares: Array of the batches' mean squares since training began, the oldest first.
        steps_per_epoch: Integer. Number of batches in an epoch.
    """
    functions = {
        **{f"momentum {m}": functools.partial(moving_average, momentum=m) for m in _MOMENTA},
        "mean of the last epoch": functools.partial(last_mean, number=steps_per_epoch),
        "momentum 0.9, corrected for growth": functools.partial(growth_corrected, momentum=0.9),
    }
    return {name: function(squares) for name, function in functions.items()}


_MOMENTA = (0.99, 0.95, 0.9, 0.8, 0.5)
