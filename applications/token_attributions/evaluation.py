"""Measures of how well a map ranks the tokens of a sentence, by the classifier's own output.

Tokens are replaced one after another, and the area under the probability of the class is the
measure, as Petsiuk et al. (2018) have it for the pixels of an image.
"""

import numpy as np

from applications.attributions import evaluation

MEASURES = ("deletion", "masking", "insertion")


def ranks(maps, mask):
    """Return each token's rank in its sentence. The largest has 0, and padding is last."""
    return evaluation.ranks(np.where(mask, maps, -np.inf))


def curves(probabilities, x, mask, y, maps, replacement):
    """Return the class probability while tokens are replaced, the most important ones first.

    - "deletion" replaces the embedding of a token by `replacement`.
    - "masking" removes a token from the attention and the mean of the model.
    - "insertion" begins with `replacement` in place of all tokens, and inserts them.

    Args:
        probabilities: Callable. It takes embedded sentences, their masks and classes, and returns
            the probability of the class of each.
        x: NumPy array of shape (N, length, width). Embedded sentences.
        mask: Boolean NumPy array of shape (N, length). False for padding.
        y: Integer NumPy array of shape (N,). The classes.
        maps: NumPy array of shape (N, length).
        replacement: NumPy array of shape (width,). The embedding without information.

    Returns:
        Dict of `MEASURES` to float arrays of shape (N, length + 1): the probabilities after
        0, 1, 2, ... tokens. After the last token of a sentence they stay as they are.
    """
    order = ranks(maps, mask)
    columns = {kind: [] for kind in MEASURES}
    for count in range(maps.shape[1] + 1):
        chosen = (order < count) & mask
        deleted = np.where(chosen[..., None], replacement, x).astype(x.dtype)
        inserted = np.where(chosen[..., None], x, replacement).astype(x.dtype)
        columns["deletion"].append(probabilities(deleted, mask, y))
        columns["masking"].append(probabilities(x, mask & ~chosen, y))
        columns["insertion"].append(probabilities(inserted, mask, y))
    return {kind: np.stack(values, axis=1) for kind, values in columns.items()}


def areas(values, lengths):
    """Return the area under each curve over the share of its sentence's tokens.

    Args:
        values: NumPy array of shape (N, length + 1). Curves.
        lengths: Integer NumPy array of shape (N,). The number of tokens of each sentence.
    """
    return np.array([np.trapezoid(row[: n + 1], dx=1 / n) for row, n in zip(values, lengths)])


def at_shares(values, lengths, shares):
    """Return curves at given shares of each sentence's tokens, linearly interpolated."""
    return np.stack(
        [np.interp(shares, np.arange(n + 1) / n, row[: n + 1]) for row, n in zip(values, lengths)]
    )


def mean_and_error(values):
    """Return a mean and its standard error."""
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))
