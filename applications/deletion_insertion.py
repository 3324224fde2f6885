"""How well a map ranks the pixels of an image, judged by the classifier itself.

Reference:
    Petsiuk et al., RISE: Randomized Input Sampling for Explanation of Black-box
    Models, 2018.
"""

import numpy as np
from keras import ops
from scipy import ndimage

from keras_slashed.evaluation.compiled import Compiled
from keras_slashed.ops.floats import at_least_float32


def deletion_curve(model, images, y, maps, replacement, steps=28, batch_size=500):
    """Return the class's probability as pixels are replaced, those of most weight first.

    Args:
        model: From images to logits.
        images: NumPy array of shape (N, height, width) or (N, height, width, channels).
        y: Integer classes, (N,).
        maps: Of the images' shape; channels are added up.
        replacement: What pixels are replaced by, broadcastable to the images. With
            blank images for `images` and the images for `replacement` it is the curve
            of insertion.
        steps: Equal numbers of pixels in which all are replaced.
        batch_size: Images in one computation.

    Returns:
        Probabilities of shape (N, steps + 1), from no pixel replaced to all.
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
    """Return the class's probability as pixels of an image come into a blank one."""
    blank = np.broadcast_to(blank, images.shape).astype(images.dtype)
    return deletion_curve(model, blank, y, maps, images, steps, batch_size)


def area(curves):
    """Return the area under each curve, over the share of pixels, by trapezoids."""
    return (curves[:, :-1] + curves[:, 1:]).mean(axis=1) / 2


def ranks(maps):
    """Return each pixel's place in the order of a map, (N, height, width), 0 the largest."""
    values = maps.sum(axis=-1) if maps.ndim == 4 else maps
    flat = values.reshape(len(values), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(flat.shape[1])[None], axis=1)
    return places.reshape(values.shape)


def blurred(images, sigma):
    """Return images blurred by a Gaussian of `sigma` pixels."""
    return ndimage.gaussian_filter(images, (0, sigma, sigma, *[0] * (images.ndim - 3)))


def _class_probabilities(model, batch_size):
    def softmax(x):
        return ops.softmax(at_least_float32(model(x)), axis=-1)

    compiled = Compiled(softmax, [model])

    def of(x, y):
        parts = [
            compiled.predict_on_batch(x[start : start + batch_size])
            for start in range(0, len(x), batch_size)
        ]
        return np.take_along_axis(np.concatenate(parts), y[:, None], axis=1)[:, 0]

    return of
