"""The way in which a recurrent layer of Keras calls its cell."""

import sys

import keras

from keras_slashed.keras_faults.export_format import is_dynamo_compiling

_BACKEND = keras.backend.backend()
_LOOP = f"keras.src.backend.{_BACKEND}.rnn"
# The modules in which TensorFlow and JAX trace the body of a loop.
_TRACERS = ("tensorflow.python.framework.func_graph", "jax._src.lax.control_flow")
_LOSS_IS_USED = ("train_step", "test_step")


def recurrent_call():
    """Return "traced", "shape" or None for the layer call that uses this function.

    - "traced": the call is in the body of a loop over time that TensorFlow or JAX traces. Only
      the outputs and states of the cell leave the loop. Losses do not, and on JAX variables do
      not either.
    - "shape": Keras needs the shape of the cell's outputs, or dropout masks, and makes an extra
      call of the cell on the first step.
    - None: any other call. This includes loops that run in Python, such as unrolled loops and
      those on PyTorch.

    Keras does not inform a layer about this, but its recurrent layers are among the callers.
    """
    return _callers()[0]


def check_recurrent_call(layer, training, draw):
    """Raise a ValueError if a recurrent layer calls in a way that loses the loss of the rate.

    Args:
        layer: Keras layer. The layer that is called.
        training: Boolean. Whether the layer runs in training mode.
        draw: Boolean. Whether the layer draws.
    """
    kind, loss_is_used = _callers()
    # A seed generator is a variable. Without an error, each step would have the same noise.
    fails = training or loss_is_used or (draw and _BACKEND == "jax")
    if kind == "traced" and fails:
        raise _not_unrolled(layer, "its loss and the state of its noise")


def check_recurrent_statistics(layer, leave_as_tensors):
    """Raise a ValueError if a recurrent layer calls in a way that loses statistics of the call.

    Args:
        layer: Keras layer. The layer that is called.
        leave_as_tensors: Boolean. Whether the statistics leave the call as tensors. Otherwise
            the layer assigns them to variables, which only JAX loses.
    """
    if (leave_as_tensors or _BACKEND == "jax") and recurrent_call() == "traced":
        raise _not_unrolled(layer, "its statistics")


def _not_unrolled(layer, lost):
    return ValueError(
        f"Layer {layer.path!r} is called in the loop over time of a recurrent layer, which "
        f"discards {lost} on this backend. Expected: a recurrent layer whose loop is unrolled, "
        "`keras.layers.RNN(cell, unroll=True)`. Received: unroll=False"
    )


def _callers():
    """Return the kind of the call, and whether `fit` or `evaluate` uses its loss."""
    kind, traced, in_step = None, False, False
    # Code that torch.compile traces cannot read frames.
    frame = None if is_dynamo_compiling() else sys._getframe(2)
    while frame is not None:
        module, function = frame.f_globals.get("__name__") or "", frame.f_code.co_name
        if function == "compute_output_spec":
            return None, False  # a symbolic call adds no loss and draws no noise
        if function in _LOSS_IS_USED and kind is not None:
            return kind, True
        if module.startswith(_TRACERS):
            traced = True
        elif function == "_maybe_config_dropout_masks":
            kind = kind or "shape"
        elif module == _LOOP and function == "_step":
            in_step = True
        elif module == _LOOP and function == "rnn" and not frame.f_locals["unroll"]:
            if traced:
                kind = "traced"
            elif not in_step:
                kind = kind or "shape"
        frame = frame.f_back
    return kind, False
