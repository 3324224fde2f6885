"""The MNIST classifier of Table 1 in plain JAX: its training loop without Keras.

`benchmarks.epoch_time` uses it. It writes out the model, loss, metrics and optimizer of
`applications.classifier`, keeps the data on the device, and calls one compiled step per batch.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from keras_slashed.ops import stdplus

_WIDTHS = (1024, 1024, 512)
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7


class HandWrittenTraining:
    """Train epoch after epoch.

    Args:
        data: `ImageData` to train on.
        setting: `Setting` of the MLP with the bottleneck "none", or with "vib" and the
            normalization "batch".
    """

    def __init__(self, data, setting):
        self._data = (
            jnp.asarray(data.x_train.reshape(len(data.x_train), -1)),
            jnp.asarray(data.y_train),
        )
        self._setting = setting
        self._epoch = 0
        self._steps = len(data.x_train) // setting.batch_size
        options = {
            "vib": setting.bottleneck == "vib",
            "rate": setting.target_rate(data.num_classes),
            "momentum": setting.momentum,
            "weight_decay": setting.weight_decay,
            "schedule": (setting.learning_rate, setting.learning_rate_decay, 2 * self._steps),
        }
        self._step = jax.jit(functools.partial(_train_step, **options), donate_argnums=0)
        parameters = _initial_parameters(
            (self._data[0].shape[1], *_WIDTHS, data.num_classes), options["vib"], setting.seed
        )
        self._state = {
            "parameters": parameters,
            "first": jax.tree.map(jnp.zeros_like, parameters),
            "second": jax.tree.map(jnp.zeros_like, parameters),
            "moving": jnp.zeros(2),
            "step": jnp.zeros((), "int32"),
            "totals": jnp.zeros(2),
            "key": jax.random.key(setting.seed),
        }

    def train_epoch(self):
        """Train one epoch, and return its mean loss and accuracy."""
        order = np.random.default_rng([self._setting.seed, self._epoch])
        order = order.permutation(len(self._data[0])).astype("int32")
        self._epoch += 1
        self._state["totals"] = jnp.zeros(2)
        for chosen in order[: self._steps * self._setting.batch_size].reshape(self._steps, -1):
            self._state = self._step(self._state, *self._data, chosen)
        return np.asarray(self._state["totals"]) / self._steps


def _initial_parameters(widths, vib, seed):
    shapes = [*itertools.pairwise(widths)]
    if vib:  # the last layer reads a mean, half as long as the amplitude
        shapes[-1] = (shapes[-1][0] // 2, shapes[-1][1])
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    initialize = jax.nn.initializers.glorot_uniform()
    return [(initialize(key, shape), jnp.zeros(shape[1])) for key, shape in zip(keys, shapes)]


def _loss(parameters, moving, images, labels, key, vib, rate, momentum):
    """Return the loss, and as auxiliary values the moving mean square and the accuracy."""
    *hidden, last, logits = parameters
    h = images
    for weights, bias in hidden:
        h = jax.nn.relu(h @ weights + bias)
    h = h @ last[0] + last[1]
    if vib:
        mean_square = jnp.mean(jnp.sum(h**2, axis=1))
        moving += (1.0 - momentum) * (jnp.stack([mean_square, jnp.ones(())]) - moving)
        a, b = jnp.split(h * jnp.sqrt(rate / mean_square), 2, axis=1)
        noise = jax.random.normal(key, a.shape)
        h = jnp.sqrt(2.0) * a + stdplus(jnp.sqrt(2.0) * b) * noise
    else:
        h = jax.nn.relu(h)
    scores = jax.nn.log_softmax(h @ logits[0] + logits[1])
    accuracy = jnp.mean(jnp.argmax(scores, axis=1) == labels)
    loss = -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))
    return loss, (moving, accuracy)


def _train_step(state, images, labels, chosen, *, weight_decay, schedule, **options):
    key, noise_key = jax.random.split(state["key"])
    (loss, (moving, accuracy)), gradients = jax.value_and_grad(_loss, has_aux=True)(
        state["parameters"], state["moving"], images[chosen], labels[chosen], noise_key, **options
    )
    weights = state["parameters"]
    gradients = jax.tree.map(lambda g, w: g + weight_decay * w, gradients, weights)
    first = jax.tree.map(lambda m, g: m + (1.0 - _BETA_1) * (g - m), state["first"], gradients)
    second = jax.tree.map(
        lambda v, g: v + (1.0 - _BETA_2) * (g * g - v), state["second"], gradients
    )
    learning_rate, decay, steps = schedule
    step = state["step"] + 1
    scale = learning_rate * decay ** (state["step"] // steps)
    scale *= jnp.sqrt(1.0 - _BETA_2**step) / (1.0 - _BETA_1**step)
    return {
        "parameters": jax.tree.map(
            lambda w, m, v: w - scale * m / (jnp.sqrt(v) + _EPSILON), weights, first, second
        ),
        "first": first,
        "second": second,
        "moving": moving,
        "step": step,
        "totals": state["totals"] + jnp.stack([loss, accuracy]),
        "key": key,
    }
