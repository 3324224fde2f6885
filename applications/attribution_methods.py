"""Maps of what a classifier looked at, by each method that is compared.

A method is a function of images and classes. It returns two arrays of the images' shape:
its map, and its direction, positive where more of an element speaks for the class.
"""

import functools

import numpy as np
from keras import ops

from keras_slashed.attribution import amplitude_attribution
from keras_slashed.backend import input_gradient
from keras_slashed.evaluation.compiled import Compiled

_BATCH = 50  # rows of one computation
USUAL_NOISE = 0.3  # 15 % of a pixel's range, amid what Smilkov et al. recommend


def gradient(gradients, x, y):
    """Return the gradient of the class's logit, absolute (Simonyan et al. 2014)."""
    direction = gradients(x, y)
    return np.abs(direction), direction


def smoothgrad(gradients, x, y, noise, num_samples, seed):
    """Return the mean gradient of noisy images, absolute (Smilkov et al. 2017)."""
    rng = np.random.default_rng(seed)
    total = np.zeros(x.shape)
    for _ in range(num_samples):
        noisy = x + noise * rng.standard_normal(x.shape)
        total += gradients(noisy.astype(x.dtype), y)
    return np.abs(total), total


def integrated_gradients(gradients, x, y, baseline, steps):
    """Return the mean gradient along a line, times what it changes (Sundararajan et al. 2017).

    The line leads from `baseline`, one image, to x; it is summed at midpoints. The map
    adds up to the change of the logit, and has a sign.
    """
    total = np.zeros(x.shape)
    for step in range(steps):
        total += gradients(baseline + (step + 0.5) / steps * (x - baseline), y)
    return (x - baseline) * total / steps, total


def random_ranking(x, y, seed):
    """Return noise: the map that knows nothing."""
    del y
    noise = np.random.default_rng(seed).random(x.shape)
    return noise, noise


def amplitude(model, x, y, **options):
    """Return nats by `keras_slashed.attribution.amplitude_attribution`, and the real parts."""
    # As many rows at a time as the other methods have.
    attribution = amplitude_attribution(
        model, x, y, batch_size=_BATCH // 10, chunk_size=10, **options
    )
    return attribution.nats, np.split(attribution.amplitude, 2, axis=-1)[0]


def margin_loss(y, logits):
    """Return minus the logit's margin over all others, which no float32 saturates."""
    logits = ops.convert_to_tensor(logits)
    others = logits - 1e9 * ops.one_hot(y, logits.shape[-1], dtype=logits.dtype)
    own = ops.take_along_axis(logits, ops.expand_dims(y, -1), axis=-1)[:, 0]
    return ops.logsumexp(others, axis=-1) - own


def methods(model, baseline, noise, beta, steps, num_samples, seed):
    """Return the methods to compare, by name, each with its gradients for an image.

    Args:
        model: The classifier; when its weights change, nothing is compiled again for
            the methods of the logit's gradient.
        baseline: The image without information, from which integrated gradients start.
        noise: Standard deviation of the amplitude's prior, and of one of the SmoothGrads.
        beta: Price of a nat.
        steps: Steps of the amplitude's iteration; integrated gradients have thrice as many.
        num_samples: Draws.
        seed: Of the draws.

    Returns:
        A dict of `(function, gradients)`.
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
    """Return a function of images and classes: the gradients of the classes' logits."""

    def gradients(inputs):
        x, y = inputs

        def total(x):
            logits = model(x)
            return ops.sum(logits * ops.one_hot(y, logits.shape[-1], dtype=logits.dtype)), ()

        return input_gradient(total, x)[0]

    compiled = Compiled(gradients, [model])

    def in_batches(x, y):
        parts = range(0, len(x), _BATCH)
        return np.concatenate(
            [compiled.predict_on_batch((x[i : i + _BATCH], y[i : i + _BATCH])) for i in parts]
        )

    return in_batches
