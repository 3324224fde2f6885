"""The format to which a model is exported while it calls a layer."""

import sys

import keras

if keras.backend.backend() == "torch":
    from torch.compiler import is_dynamo_compiling
else:

    def is_dynamo_compiling():
        return False


# The modules of Keras that export, and the `format` of `model.export` that uses each of them.
FORMATS = {
    "keras.src.export.litert": "litert",
    "keras.src.export.onnx": "onnx",
    "keras.src.export.openvino": "openvino",
    "keras.src.export.saved_model": "tf_saved_model",
    "keras.src.export.torch": "torch",
}


def export_format():
    """Return the format to which the model around this call is exported, or None.

    Keras does not inform a layer about an export. However, the module of Keras that exports is
    one of the callers of the layer, directly or through a tracer, on every backend. If several of
    these modules are callers, the outermost is the one that the user asked for, since some
    formats are made from a SavedModel. The function does not detect exporters that are called
    without Keras, such as `torch.export`.
    """
    # torch.compile cannot read frames, and it does not trace exporters.
    if is_dynamo_compiling():
        return None
    found = None
    frame = sys._getframe(1)
    while frame is not None:
        found = FORMATS.get(frame.f_globals.get("__name__"), found)
        frame = frame.f_back
    return found
