"""Figure 2 of the paper: the two roots of Eq. 6, and stdplus next to softplus."""

import math

import keras
import numpy as np

from applications import extras
from applications.training.backends import float64_enabled
from applications.training.backends import input_gradient
from keras_slashed.ops import stdplus

plt = extras.pyplot()


def roots(k):
    """Return the roots M_0(k) <= 1 <= M_1(k) of `log x - x = k - 1`, for k <= 0 (Eq. 8).

    They are `stdplus(-sqrt(-k))^2` and `stdplus(sqrt(-k))^2`, since stdplus joins the
    two branches (Eq. 11 to 13).
    """
    with float64_enabled():
        root = keras.ops.convert_to_tensor(np.sqrt(-np.asarray(k, "float64")))
        return [keras.ops.convert_to_numpy(stdplus(x)) ** 2 for x in (-root, root)]


def curves(x):
    """Return stdplus, its derivative, and the softplus that is 1 at 0, of an array."""
    with float64_enabled():
        tensor = keras.ops.convert_to_tensor(np.asarray(x, "float64"))
        y = keras.ops.convert_to_numpy(stdplus(tensor))
        slope, _ = input_gradient(lambda x: (keras.ops.sum(stdplus(x)), ()), tensor)
        slope = keras.ops.convert_to_numpy(slope)
    return y, slope, np.logaddexp(0.0, x + math.log(math.e - 1.0))


def draw(path):
    """Plot the figure."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    k = -(np.linspace(0.0, 2.0, 400) ** 2)  # dense where the slope is infinite
    for values, name, color in zip(roots(k), ("M_0", "M_1"), ("tab:blue", "tab:orange")):
        left.plot(k, values, color=color, label=f"${name}(k)$")
    left.plot(0.0, 1.0, "o", color="0.3", ms=4)
    left.set(xlabel="$k$", ylabel=r"roots of $\log x - x = k - 1$", title="(a) the two roots")
    x = np.linspace(-4.0, 4.0, 401)
    y, slope, softplus = curves(x)
    right.plot(x, y, color="tab:blue", label="stdplus")
    right.plot(x, slope, "--", color="tab:blue", label="its derivative")
    right.plot(x, softplus, ":", color="tab:red", label="1-centered softplus")
    right.set(xlabel="$x$", title="(b) stdplus")
    for panel in (left, right):
        panel.grid(alpha=0.3)
        panel.legend()
    extras.save(figure, path)
