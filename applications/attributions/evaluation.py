"""Measures of how well a map ranks the pixels of an image, by the classifier's own output.

Reference:
    Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box
    Models, 2018.
"""

import numpy as np
from keras import ops

from applications import extras
from applications.training.backends import compile_with_state

stats = extras.load("scipy.stats")


def randomize(model, fresh, layers=None):
    """Replace the weights of a model's last layers by those of a newly built model.

    Args:
        model: `keras.Model`, which is modified.
        fresh: `keras.Model` of the same architecture.
        layers: Integer or None. Number of layers with weights, counted from the output. With
            None, all layers are replaced.
    """
    pairs = [
        (mine, other)
        for mine, other in zip(model.layers, fresh.layers, strict=True)
        if mine.weights
    ]
    for mine, other in pairs if layers is None else pairs[-layers:]:
        mine.set_weights(other.get_weights())


def rank_correlations(maps, others):
    """Return Spearman's rank correlation between the absolute values of each image's two maps.

    It is 0 if one of them is constant, since a constant map ranks nothing.
    """
    return np.array([_rank_correlation(*map(np.abs, pair)) for pair in zip(maps, others)])


def _rank_correlation(one, other):
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return stats.spearmanr(one.ravel(), other.ravel()).statistic


ndimage = extras.load("scipy.ndimage")


def deletion_curve(model, images, y, maps, replacement, steps=28, batch_size=500):
    """Return the class probability while pixels are replaced, the most important ones first.

    Args:
        model: `keras.Model` that maps images to logits.
        images: NumPy array of shape (N, height, width) or (N, height, width, channels).
        y: Integer NumPy array of shape (N,). The classes.
        maps: NumPy array of the images' shape. Channels are summed.
        replacement: NumPy array that can be broadcast to the images. The values that replace
            the pixels. If `images` are blank images and `replacement` is the images, the result
            is the insertion curve.
        steps: Integer. Number of equal steps in which all pixels are replaced.
        batch_size: Integer. Images per batch.

    Returns:
        Float array of shape (N, steps + 1). The probabilities, from no replaced pixel to all.
    """
    probabilities = _class_probabilities(model, batch_size)
    replacement = np.broadcast_to(replacement, images.shape).astype(images.dtype)
    order = ranks(maps)
    pixels = order[0].size
    columns = []
    for step in range(steps + 1):
        replaced = order < round(pixels * step / steps)
        replaced = replaced.reshape(*replaced.shape, *[1] * (images.ndim - 3))
        columns.append(probabilities(np.where(replaced, replacement, images), y))
    return np.stack(columns, axis=1)


def insertion_curve(model, images, y, maps, blank, steps=28, batch_size=500):
    """Return the class probability while pixels of an image are inserted into a blank one."""
    blank = np.broadcast_to(blank, images.shape).astype(images.dtype)
    return deletion_curve(model, blank, y, maps, images, steps, batch_size)


def area(curves):
    """Return the area under each curve over the share of pixels, by the trapezoidal rule."""
    return (curves[:, :-1] + curves[:, 1:]).mean(axis=1) / 2


def standard_error(values):
    """Return the standard error of the mean of an array of shape (N,)."""
    return values.std(ddof=1) / np.sqrt(len(values))


def ranks(maps):
    """Return each pixel's rank in its map, of shape (N, height, width). The largest has 0."""
    values = maps.sum(axis=-1) if maps.ndim == 4 else maps
    flat = values.reshape(len(values), -1)
    return stats.rankdata(-flat, "ordinal", axis=1).reshape(values.shape) - 1


def blurred(images, sigma):
    """Return images blurred by a Gaussian of `sigma` pixels."""
    return ndimage.gaussian_filter(images, (0, sigma, sigma, *[0] * (images.ndim - 3)))


def _class_probabilities(model, batch_size):
    def softmax(x):
        return ops.softmax(ops.cast(model(x), "float32"), axis=-1)

    compiled = compile_with_state(softmax, model.variables)

    def of(x, y):
        parts = [
            ops.convert_to_numpy(compiled(ops.convert_to_tensor(x[start : start + batch_size])))
            for start in range(0, len(x), batch_size)
        ]
        return np.take_along_axis(np.concatenate(parts), y[:, None], axis=1)[:, 0]

    return of
