"""How a recurrent layer of Keras calls the cell that a layer is in."""

import sys

import keras

from keras_slashed.keras_faults.export_format import is_dynamo_compiling

_BACKEND = keras.backend.backend()
_LOOP = f"keras.src.backend.{_BACKEND}.rnn"
# Where TensorFlow and JAX trace the body of a loop.
_TRACERS = ("tensorflow.python.framework.func_graph", "jax._src.lax.control_flow")
_LOSS_IS_USED = ("train_step", "test_step")


def recurrent_call():
    """Return "traced", "shape" or None, for the call of a layer that calls this.

    - "traced": in the body of a loop over time that TensorFlow or JAX traces. No tensor
      gets out of it but the cell's outputs and states: no loss, and on JAX no variable.
    - "shape": Keras wants the shape of the cell's outputs, or dropout masks, and calls the
      cell on the first step once more than there are steps.
    - None: any other call, also where the loop runs in Python, as it does unrolled and on
      PyTorch.

    Keras tells a layer nothing of this, but its recurrent layers are among the callers.
    """
    return _callers()[0]


def check_recurrent_call(layer, training, draw):
    """Raise a ValueError where a recurrent layer calls in a way that loses the rate's loss.

    Args:
        layer: The layer that is called.
        training: Whether it is in training.
        draw: Whether it draws.
    """
    kind, loss_is_used = _callers()
    # A seed generator is a variable. Without an error each step had the same noise.
    fails = training or loss_is_used or (draw and _BACKEND == "jax")
    if kind == "traced" and fails:
        raise ValueError(
            f"The layer {layer.path!r} is called in a recurrent layer's loop over time, out of "
            "which its loss and its noise do not get on this backend. Expected: a recurrent "
            "layer whose loop is unrolled, `keras.layers.RNN(cell, unroll=True)`. "
            "Received: unroll=False"
        )


def _callers():
    """Return the kind of the call, and whether its loss is used by `fit` or `evaluate`."""
    kind, traced, in_step = None, False, False
    # What torch.compile traces cannot read frames.
    frame = None if is_dynamo_compiling() else sys._getframe(2)
    while frame is not None:
        module, function = frame.f_globals.get("__name__") or "", frame.f_code.co_name
        if function == "compute_output_spec":
            return None, False  # nothing of a symbolic call counts
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
