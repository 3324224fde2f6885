"""ResNet18's inference in NumPy, from the weights of a Keras model by their layers' names."""

import numpy as np


def stem(model, x, kind):
    """Return what leaves the "cifar" or the "imagenet" stem, of images x."""
    if kind == "cifar":
        return np.maximum(_normalized_convolution(model, x, "stem", 1, 1), 0)
    x = np.maximum(_normalized_convolution(model, x, "stem", 2, 3), 0)
    return _windows(x, 3, 2, 1, -np.inf).max((-2, -1))


def pooled_features(model, x):
    """Return the mean over positions of the last stage, of what left the stem."""
    for stage in (1, 2, 3, 4):
        for block in (1, 2):
            name = f"stage_{stage}_block_{block}"
            down = stage > 1 and block == 1
            stride = 2 if down else 1
            y = np.maximum(_normalized_convolution(model, x, f"{name}_a", stride, 1), 0)
            y = _normalized_convolution(model, y, f"{name}_b", 1, 1)
            if down:
                x = _normalized_convolution(model, x, f"{name}_shortcut", stride, 0)
            x = np.maximum(y + x, 0)
    return x.mean((1, 2))


def _windows(x, size, stride, padding, fill_value=0.0):
    """Return windows: (number, rows, columns, channels, size, size)."""
    sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    x = np.pad(x, sides, constant_values=fill_value)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return windows[:, ::stride, ::stride]


def _normalized_convolution(model, x, name, stride, padding):
    (kernel,) = model.get_layer(f"{name}_convolution").get_weights()
    windows = _windows(x, len(kernel), stride, padding)
    x = np.einsum("nhwcij,ijcf->nhwf", windows, kernel, optimize=True)
    gamma, beta, mean, variance = model.get_layer(f"{name}_normalization").get_weights()
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
