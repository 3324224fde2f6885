"""Projected gradient descent in the max norm (Madry et al. 2018)."""

import numpy as np
from keras import ops

from applications.attacks.fgsm import EPSILONS
from applications.attacks.fgsm import LOSSES
from applications.attacks.fgsm import loss_gradient
from applications.attacks.fgsm import margin
from applications.checks import check_choice
from applications.checks import check_positive
from applications.checks import check_positive_integer
from applications.checks import check_seed
from applications.training.backends import compile_with_state


class PgdSearch:
    """Search the balls around inputs for the images that mislead a classifier most.

    From a random image within eps of the input x, `steps` times

        image = project(image + step_size (eps / steps) sign(grad L(image, y)))

    where `project` clips each pixel to [x - eps, x + eps] and to the pixel range. The search
    compares the final images of all restarts and x itself. It keeps the image that most of the
    `estimates` misclassify, and among ties the one with the largest margin.

    For an error rate, classify only this image, and only once. A deterministic classifier
    misclassifies it if it misclassifies any of the images that the search compared. For a
    classifier that draws, chance must not count as an attack. If each image were classified, some
    would be misclassified by a chance draw alone, even at eps = 0, and more often the more images
    there are.

    A classifier that draws uses new draws in every step (expectation over transformation,
    Athalye et al. 2018). The attack then follows the gradient of the loss of probabilities
    that are averaged over these draws. L is the margin by default, as in Carlini and Wagner
    (2017), because for a very certain classifier the gradient of the cross-entropy is tiny or
    0 in float32.

    Args:
        model: `keras.Model` that maps inputs to logits.
        epsilons: Sequence of floats. Radii of the balls, on the scale of the inputs.
        pixel_range: Tuple of two floats or None. The smallest and the largest value of a pixel.
        steps: Integer. Number of gradient steps per restart.
        restarts: Integer. Number of random starts. The starts for a smaller number are among
            those for a larger one.
        step_size: Float. Size of a step, in units of `eps / steps`.
        loss: String, "margin" or "crossentropy".
        estimates: Integer. How often to evaluate `model` to compare images. More than once is
            useful if it draws.
        seed: Integer. Seed of the random starts. The starts of an input depend on its index
            and not on the batch size.

    Call arguments:
        inputs: Tensor. A batch of inputs.
        labels: int32 tensor of shape `(batch,)`.
        first: Integer. Index of the first input.
        report: Function without arguments, which is called after each restart.

    Output shape:
        `(number of epsilons, *inputs.shape)`.
    """

    def __init__(
        self,
        model,
        epsilons=EPSILONS,
        pixel_range=None,
        steps=20,
        restarts=10,
        step_size=2.5,
        loss="margin",
        estimates=1,
        seed=0,
    ):
        check_choice("loss", loss, LOSSES)
        check_positive("step_size", step_size)
        for name, value in (("steps", steps), ("restarts", restarts), ("estimates", estimates)):
            check_positive_integer(name, value)
        check_seed(seed)
        self.epsilons = np.asarray(epsilons, "float32")
        self._steps = steps
        self._restarts = restarts
        self._seed = seed
        self._pixel_range = pixel_range

        def step(images, centers, radii, labels):
            gradient, _ = loss_gradient(model, images, labels, loss)
            images = images + step_size / steps * radii * ops.sign(gradient)
            images = ops.minimum(ops.maximum(images, centers - radii), centers + radii)
            return images if pixel_range is None else ops.clip(images, *pixel_range)

        def keep_worse(best, best_votes, best_margins, images, labels):
            votes, margins = weigh(model, images, labels, estimates)
            tie = ops.logical_and(votes == best_votes, margins > best_margins)
            worse = ops.logical_or(votes > best_votes, tie)
            shape = (-1, *[1] * (len(images.shape) - 1))
            return (
                ops.where(ops.reshape(worse, shape), images, best),
                ops.where(worse, votes, best_votes),
                ops.where(worse, margins, best_margins),
            )

        self._step = compile_with_state(step, model.variables)
        self._keep_worse = compile_with_state(keep_worse, model.variables)

    def __call__(self, inputs, labels, first=0, report=lambda: None):
        # One batch for all strengths: a copy of the inputs for each, one after another.
        copies = len(self.epsilons)
        radii = np.repeat(self.epsilons, len(inputs))
        none = ops.convert_to_tensor(np.full_like(radii, -np.inf))
        radii = ops.convert_to_tensor(radii.reshape(-1, *[1] * (len(inputs.shape) - 1)))
        labels = ops.concatenate([labels] * copies)
        centers = ops.concatenate([inputs] * copies)
        kept = self._keep_worse(centers, none, none, centers, labels)
        for restart in range(self._restarts):
            noise = ops.concatenate([self._noise(restart, first, inputs.shape)] * copies)
            images = centers + radii * noise
            if self._pixel_range is not None:
                images = ops.clip(images, *self._pixel_range)
            for _ in range(self._steps):
                images = self._step(images, centers, radii, labels)
            kept = self._keep_worse(*kept, images, labels)
            report()
        return ops.reshape(kept[0], (copies, *inputs.shape))

    def _noise(self, restart, first, shape):
        """Return numbers uniform in [-1, 1] for each input."""
        generators = (
            np.random.default_rng([self._seed, restart, first + index]) for index in range(shape[0])
        )
        noise = [generator.uniform(-1.0, 1.0, shape[1:]) for generator in generators]
        return ops.convert_to_tensor(np.stack(noise).astype("float32"))


def weigh(model, images, labels, estimates=1):
    """Return how often each image is misclassified, and its mean margin.

    Args:
        model: `keras.Model` that maps inputs to logits.
        images: Tensor. A batch of images.
        labels: int32 tensor of shape `(batch,)`.
        estimates: Integer. How often to evaluate the model.

    Returns:
        Two float32 tensors of shape `(batch,)`. The worst image is the one with the largest
        first value, and among ties the one with the largest second value.
    """
    votes = total = 0.0
    for _ in range(estimates):
        logits = ops.cast(model(images, training=False), "float32")
        margins = margin(labels, logits)
        votes = votes + ops.cast(margins > 0.0, "float32")
        total = total + margins
    return votes, total / estimates
