"""Count what the devices send to one another in a training step, and predict the time."""

import math
import re

import keras
import numpy as np

from benchmarks.harness.frameworks import BACKEND
from keras_slashed.ops import mean_square

_ITEM_SIZE = {"f64": 8, "f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1}
_INSTRUCTION = re.compile(
    r"%(?P<name>[\w.-]+) = (?P<type>\(.*?\)|\S+) "
    r"(?P<operation>all-reduce|all-reduce-start|get-tuple-element)\(%?(?P<operand>[\w.-]+)"
)
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_ORIGIN = re.compile(r'op_name="([^"]*)"')
_INDEX = re.compile(r"index=(\d+)")
_BOTTLENECK = "/rate_normalization/"


def count(model, x, y):
    """Return what one training step of a model sends, in bytes of each device's tensors.

    - "statistics_forward", "statistics_backward": bytes of the normalization to a rate, without
      what is sent together with the gradients, since no step waits for that,
    - "gradients": bytes of the gradients of all trainable weights,
    - "collectives": number of the step's all-reduces, if the compiler reports it.

    With JAX, all of this is read from the compiled step for the current distribution. On other
    backends, the statistics are what one call of the model passes to `sum_over_replicas`, and
    the backward pass sends the same number of bytes.

    Args:
        model: `keras.Model`, compiled and built. With JAX it is built under a
            `keras.distribution`.
        x: Array. A batch of inputs.
        y: Array. The labels of the batch.
    """
    if BACKEND == "jax":
        return count_in_hlo(_compiled_step(model, x, y))
    sent = []
    original = mean_square.sum_over_replicas

    def counting(x):
        sent.append(math.prod(x.shape) * _ITEM_SIZE["f32"])
        return original(x)

    mean_square.sum_over_replicas = counting
    try:
        model(x[:2], training=True)
    finally:
        mean_square.sum_over_replicas = original
    sizes = [math.prod(weight.shape) for weight in model.trainable_weights]
    return {
        "statistics_forward": sum(sent),
        "statistics_backward": sum(sent),
        "gradients": sum(sizes) * _ITEM_SIZE["f32"],
        "collectives": "",
    }


def count_in_hlo(text):
    """Return the same for the text of a compiled XLA program."""
    lines = [(match, line) for line in text.splitlines() if (match := _INSTRUCTION.search(line))]
    origins = {}  # origins of the parts of an all-reduce of several tensors
    for match, line in lines:
        if match["operation"] == "get-tuple-element":
            origins[match["operand"], int(_INDEX.search(line)[1])] = _origin(line)
    sent = dict.fromkeys(("statistics_forward", "statistics_backward", "gradients"), 0)
    reduces = [pair for pair in lines if pair[0]["operation"] != "get-tuple-element"]
    for match, line in reduces:
        sizes = dict.fromkeys(sent, 0)
        for index, (kind, shape) in enumerate(_SHAPE.findall(match["type"])):
            size = math.prod(int(length) for length in shape.split(",") if length)
            origin = origins.get((match["name"], index), _origin(line))
            backward = "transpose(" in origin
            if _BOTTLENECK in origin.replace(")", ""):
                key = f"statistics_{'backward' if backward else 'forward'}"
            elif backward:
                key = "gradients"
            else:
                continue  # a loss or a metric
            sizes[key] += size * _ITEM_SIZE[kind]
        if sizes["gradients"]:
            sizes = {"gradients": sizes["gradients"]}
        for key, size in sizes.items():
            sent[key] += size
    return {**sent, "collectives": len(reduces)}


def _origin(line):
    found = _ORIGIN.search(line)
    return found[1] if found else ""


def all_reduce_seconds(number, size, latency, bandwidth, algorithm="ring"):
    """Return the seconds that `number` devices take to sum a tensor, by a model of the network.

    A "ring" sends `2 (n - 1)` messages one after another, each with a fraction 1/n of the
    tensor. A "tree" sends `2 ceil(log2 n)` messages up and down a binary tree. Its pieces are so
    small that the time for the tensor's bytes is that of sending it twice.

    Args:
        number: Integer. Number n of devices.
        size: Integer. Size of the tensor in bytes.
        latency: Float. Latency of a message in seconds.
        bandwidth: Float. Bandwidth between two devices in bytes per second.
        algorithm: String, "ring" or "tree".
    """
    if number == 1:
        return 0.0
    if algorithm == "ring":
        return 2 * (number - 1) * (latency + size / number / bandwidth)
    return 2 * math.ceil(math.log2(number)) * latency + 2 * size / bandwidth


def _compiled_step(model, x, y):
    """Return the text of a compiled training step that uses Keras' stateless functions."""
    import jax

    def loss(trainable, other, x, y):
        predicted, other, losses = model.stateless_call(
            trainable, other, x, training=True, return_losses=True
        )
        return model.loss(y, predicted) + sum(losses), other

    def step(trainable, other, optimizer, x, y):
        gradient = jax.value_and_grad(loss, has_aux=True)
        (value, other), slopes = gradient(trainable, other, x, y)
        trainable, optimizer = model.optimizer.stateless_apply(optimizer, slopes, trainable)
        return value, trainable, other, optimizer

    model.optimizer.build(model.trainable_variables)
    state = [
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
    ]
    return jax.jit(step).lower(*state, _distributed(x), _distributed(y)).compile().as_text()


def _distributed(x):
    layout = keras.distribution.distribution().get_data_layout(x.shape)
    return keras.distribution.distribute_tensor(keras.ops.convert_to_tensor(np.asarray(x)), layout)
