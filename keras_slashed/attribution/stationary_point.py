"""Damped iteration of the stationary equation (Eq. 23) for a batch of inputs."""

import numpy as np

_SUFFICIENT = 1e-4  # required share of the predicted decrease, as in Armijo's rule
_SHORTEST = 1e-6
_ROUNDING = 1e-6  # relative rounding error of an objective in float32


def iterate(loss_and_gradient, amplitude, beta, steps, damping=None, bounds=None):
    """Iterate `psi <- psi + damping (T(psi) - psi)` with `T(psi) = -grad / (2 beta)`.

    This is a step of gradient descent on `J = loss + beta |psi|^2`, whose gradient is
    `2 beta (psi - T(psi))`. With bounds, T(psi) is clipped to them. It is then a step of
    projected gradient descent, and a fixed point is a stationary point of J within the bounds.

    Args:
        loss_and_gradient: Callable. It takes amplitudes, a NumPy array of shape (n, ...), and
            returns their losses, (n,), and gradients.
        amplitude: NumPy array. Initial amplitudes.
        beta: Float. Weight of the rate.
        steps: Integer. Number of steps. The function is called once more than that.
        damping: Float or None. With None, each input has its own damping, the step of Barzilai
            and Borwein (1988). If J does not decrease, the input stays unchanged, and its next
            step is half as long.

    Returns:
        `(amplitude, residual, loss, initial_loss)`, the last three of shape (n,).
    """
    here = _Point(loss_and_gradient, amplitude, beta, bounds)
    initial_loss = here.loss
    step = np.full(len(amplitude), 1.0 if damping is None else damping)
    for _ in range(steps):
        move = _rows(step, amplitude) * (here.target - here.amplitude)
        there = _Point(loss_and_gradient, here.amplitude + move, beta, bounds)
        if damping is not None:
            here = there
            continue
        promised = 2 * beta * step * here.distance**2  # the decrease along a straight line
        rises = there.objective - here.objective
        rounding = _ROUNDING * np.maximum(1.0, np.abs(here.objective))
        falls = rises <= rounding - _SUFFICIENT * promised
        step = np.where(falls, _next_step(here, there, step), step / 2)
        step = np.clip(step, _SHORTEST, 1.0)
        here = here.replaced_where(falls, there)
    return here.amplitude, here.residual, here.loss, initial_loss


class _Point:
    """Amplitudes, with the terms of the stationary equation at them."""

    def __init__(self, loss_and_gradient, amplitude, beta, bounds):
        self.amplitude = amplitude
        self.loss, gradient = loss_and_gradient(amplitude)
        self.target = (-gradient / (2 * beta)).astype(amplitude.dtype)
        if bounds is not None:
            self.target = np.clip(self.target, *bounds)
        self.objective = self.loss + beta * _norm(amplitude) ** 2

    @property
    def distance(self):
        return _norm(self.amplitude - self.target)

    @property
    def residual(self):
        scale = np.maximum(_norm(self.amplitude), _norm(self.target))  # NaN as the gradient is
        return np.divide(self.distance, scale, out=np.zeros_like(scale), where=scale != 0)

    def replaced_where(self, chosen, other):
        """Return a point whose chosen rows come from another point."""
        mixed = object.__new__(_Point)
        for name, mine in vars(self).items():
            setattr(mixed, name, np.where(_rows(chosen, mine), getattr(other, name), mine))
        return mixed


def _next_step(here, there, step):
    """Return the step of Barzilai and Borwein: the inverse of the curvature along the last step."""
    moved = there.amplitude - here.amplitude
    turned = moved - (there.target - here.target)
    numerator, denominator = _dot(moved, moved), _dot(moved, turned)
    # If the curvature is not positive, it gives no step length, and the step is doubled.
    return np.divide(numerator, denominator, out=2 * step, where=denominator > 0)


def _norm(x):
    return np.sqrt(_dot(x, x))


def _dot(x, y):
    x, y = (v.astype("float64").reshape(len(v), -1) for v in (x, y))
    return np.sum(x * y, axis=1)


def _rows(values, like):
    """Return values of shape (n,), reshaped to broadcast to an array of shape (n, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
