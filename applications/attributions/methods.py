"""Attribution maps of a classifier by each method of the comparison.

A method is a function of images and classes. It returns two arrays of the images' shape: its
map, and its direction. The direction is positive where a larger value favors the class.
"""

import functools

import numpy as np
from keras import ops

from applications.training.backends import compile_with_state
from applications.training.backends import input_gradient
from keras_slashed.attribution import amplitude_attribution

_BATCH = 50  # rows per batch
USUAL_NOISE = 0.3  # 15 % of a pixel's range, within what Smilkov et al. recommend


def gradient(gradients, x, y):
    """Return the absolute gradient of the class's logit (Simonyan et al. 2014)."""
    direction = gradients(x, y)
    return np.abs(direction), direction


def smoothgrad(gradients, x, y, noise, num_samples, seed):
    """Return the absolute mean gradient at noisy images (Smilkov et al. 2017)."""
    rng = np.random.default_rng(seed)
    total = np.zeros(x.shape)
    for _ in range(num_samples):
        noisy = x + noise * rng.standard_normal(x.shape)
        total += gradients(noisy.astype(x.dtype), y)
    return np.abs(total), total


def integrated_gradients(gradients, x, y, baseline, steps):
    """Return the mean gradient along a line times the change of x (Sundararajan et al. 2017).

    The line leads from the image `baseline` to x, and the gradient is evaluated at midpoints.
    The map is signed and sums to the change of the logit.
    """
    total = np.zeros(x.shape)
    for step in range(steps):
        total += gradients(baseline + (step + 0.5) / steps * (x - baseline), y)
    return (x - baseline) * total / steps, total


def random_ranking(x, y, seed):
    """Return noise, a map without information."""
    del y
    noise = np.random.default_rng(seed).random(x.shape)
    return noise, noise


def amplitude(model, x, y, **options):
    """Return the nats of `keras_slashed.attribution.amplitude_attribution`, and real parts."""
    # As many rows per batch as for the other methods.
    attribution = amplitude_attribution(
        model, x, y, batch_size=_BATCH // 10, chunk_size=10, **options
    )
    return attribution.nats, np.split(attribution.amplitude, 2, axis=-1)[0]


def margin_loss(y, logits):
    """Return minus the margin of the logit over all others, which float32 does not saturate."""
    logits = ops.convert_to_tensor(logits)
    others = logits - 1e9 * ops.one_hot(y, logits.shape[-1], dtype=logits.dtype)
    own = ops.take_along_axis(logits, ops.expand_dims(y, -1), axis=-1)[:, 0]
    return ops.logsumexp(others, axis=-1) - own


def methods(model, baseline, noise, beta, steps, num_samples, seed):
    """Return the methods to compare by name, each with its number of gradients per image.

    Args:
        model: `keras.Model`. The classifier. When its weights change, the methods of the
            logit's gradient are not compiled again.
        baseline: NumPy array. The image without information, at which integrated gradients
            start.
        noise: Float. Standard deviation of the amplitude's prior, and of one of the SmoothGrads.
        beta: Float. Price of a nat.
        steps: Integer. Steps of the amplitude's iteration. Integrated gradients use three times
            as many.
        num_samples: Integer. Number of draws.
        seed: Integer. Seed of the draws.

    Returns:
        Dict from names to tuples `(function, gradients)`.
    """
    partial = functools.partial
    own_amplitude = partial(amplitude, model)
    gradients = logit_gradients(model)
    drawn = {"num_samples": num_samples, "seed": seed}
    own = {"noise": noise, "beta": beta, **drawn}
    iterated = (steps + 1) * num_samples
    return {
        "amplitude": (partial(own_amplitude, steps=steps, **own), iterated),
        "amplitude, logit margin": (
            partial(own_amplitude, steps=steps, loss=margin_loss, **own),
            iterated,
        ),
        "amplitude, one step": (
            partial(own_amplitude, steps=1, damping=1.0, **own),
            2 * num_samples,  # the second half measures the residual
        ),
        f"SmoothGrad, noise {noise:g}": (
            partial(smoothgrad, gradients, noise=noise, **drawn),
            num_samples,
        ),
        f"SmoothGrad, noise {USUAL_NOISE:g}": (
            partial(smoothgrad, gradients, noise=USUAL_NOISE, **drawn),
            num_samples,
        ),
        "gradient": (partial(gradient, gradients), 1),
        "integrated gradients": (
            partial(integrated_gradients, gradients, baseline=baseline, steps=3 * steps),
            3 * steps,
        ),
        "random": (partial(random_ranking, seed=seed), 0),
    }


def logit_gradients(model):
    """Return a function that maps images and classes to the gradients of the classes' logits."""

    def gradients(x, y):
        def total(x):
            logits = model(x)
            return ops.sum(logits * ops.one_hot(y, logits.shape[-1], dtype=logits.dtype)), ()

        return input_gradient(total, x)[0]

    compiled = compile_with_state(gradients, model.variables)

    def in_batches(x, y):
        parts = range(0, len(x), _BATCH)
        batches = ((x[i : i + _BATCH], y[i : i + _BATCH]) for i in parts)
        results = [compiled(*map(ops.convert_to_tensor, batch)) for batch in batches]
        return np.concatenate([ops.convert_to_numpy(result) for result in results])

    return in_batches
