"""A sanity check of maps: a model that has learnt nothing must give others.

Reference:
    Adebayo et al., Sanity Checks for Saliency Maps, 2018.
"""

import numpy as np

from applications import extras

stats = extras.load("scipy.stats")


def randomize(model, fresh, layers=None):
    """Give the last layers of a model the weights of a freshly built one.

    Args:
        model: A Keras model, which is changed.
        fresh: Another of the same architecture.
        layers: How many layers with weights, counted from the output; None for all.
    """
    pairs = [
        (mine, other)
        for mine, other in zip(model.layers, fresh.layers, strict=True)
        if mine.weights
    ]
    for mine, other in pairs if layers is None else pairs[-layers:]:
        mine.set_weights(other.get_weights())


def rank_correlations(maps, others):
    """Return Spearman's rank correlation of each image's two maps, absolute values, (N,)."""
    return np.array(
        [
            stats.spearmanr(np.abs(one).ravel(), np.abs(other).ravel()).statistic
            for one, other in zip(maps, others)
        ]
    )
