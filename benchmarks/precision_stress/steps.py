"""Training steps under stress: their losses, and which steps were bad."""

import keras
import numpy as np

from benchmarks.precision_stress import model
from benchmarks.precision_stress.model import using_policy

SPIKE = 2.0  # factor over the running median
WINDOW = 50  # number of finite losses in the running median
_FEWEST = 10  # a step can be a spike only after so many finite losses


def flaws(losses):
    """Return what was wrong with the loss of each training step.

    A spike is a finite loss above twice the median of the last 50 finite losses before it, once
    there are 10. Losses are positive.

    Args:
        losses: Array with one loss per step, which need not be finite.

    Returns:
        Dict of boolean arrays: `nan`, `infinity`, `spike`, and `any` of them.
    """
    losses = np.asarray(losses, "float64")
    spike = np.zeros(len(losses), "bool")
    finite = []
    for step, loss in enumerate(losses):
        if np.isfinite(loss):
            if len(finite) >= _FEWEST:
                spike[step] = loss > SPIKE * np.median(finite[-WINDOW:])
            finite.append(loss)
    found = {"nan": np.isnan(losses), "infinity": np.isinf(losses), "spike": spike}
    return {**found, "any": np.any(list(found.values()), axis=0)}


class StressTest:
    """A VAE, compiled once and re-trained from the start for each learning rate and seed.

    Args:
        images: Array of shape `(number, pixels)` with values in [0, 1].
        head: String. One of `benchmarks.precision_stress.model.HEADS`.
        policy: String. Name of a dtype policy.
        loss_scaling: Boolean. Whether to scale the loss, as Keras does with mixed_float16.
        batch_size: Integer. Number of images in a step.
        **sizes: Integers `width`, `depth` and `latents` of the VAE.
    """

    def __init__(self, images, head, policy, loss_scaling, batch_size, **sizes):
        self._images = images.astype("float32")
        self._batch_size = batch_size
        self._policy = policy
        self._build_options = {"head": head, "pixels": images.shape[1], **sizes}
        self._model = self._build(seed=0)
        optimizer = keras.optimizers.Adam()
        if loss_scaling:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        self._model.compile(optimizer, model.negative_log_likelihood, auto_scale_loss=False)
        optimizer.build(self._model.trainable_variables)
        # Copied to NumPy, because on JAX training donates the buffers of variables.
        self._start = [
            np.array(keras.ops.convert_to_numpy(variable), copy=True)
            for variable in optimizer.variables
        ]

    def _build(self, seed):
        with using_policy(self._policy):
            return model.build(seed=seed, **self._build_options)

    def train(self, learning_rate, seed, steps):
        """Train from the start, and continue after bad steps.

        Args:
            learning_rate: Float. Learning rate of Adam.
            seed: Integer. Seed of weights, batches and noise.
            steps: Integer. Number of steps.

        Returns:
            Two arrays: the losses in nats, and whether loss scaling skipped the step because
            its gradient was not finite.
        """
        optimizer = self._model.optimizer
        for variable, value in zip(optimizer.variables, self._start, strict=True):
            variable.assign(value)
        optimizer.learning_rate = learning_rate
        fresh = self._build(seed)
        for variable, value in zip(self._model.variables, fresh.variables, strict=True):
            variable.assign(value)
        rng = np.random.default_rng(seed)
        losses, skipped = np.zeros(steps), np.zeros(steps, "bool")
        done = 0
        for step in range(steps):
            chosen = rng.choice(len(self._images), self._batch_size, replace=False)
            batch = self._images[chosen]
            self._model.reset_metrics()  # otherwise Keras 3.12 returns the mean over all steps
            losses[step] = self._model.train_on_batch(batch, batch)
            before, done = done, int(keras.ops.convert_to_numpy(optimizer.iterations))
            skipped[step] = done == before
        return losses, skipped
