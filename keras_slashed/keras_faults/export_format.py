"""Whether a layer is called as part of the export of a model, and to which format."""

import sys

import keras

if keras.backend.backend() == "torch":
    from torch.compiler import is_dynamo_compiling
else:

    def is_dynamo_compiling():
        return False


# Keras' modules that export, and the `format` of `model.export` that leads to them.
FORMATS = {
    "keras.src.export.litert": "litert",
    "keras.src.export.onnx": "onnx",
    "keras.src.export.openvino": "openvino",
    "keras.src.export.saved_model": "tf_saved_model",
    "keras.src.export.torch": "torch",
}


def export_format():
    """Return the format that the model around this call is exported to, or None.

    Keras tells a layer nothing of an export, but the layer is called by the module of
    Keras that exports, by way of a tracer or not, on every backend. Where several of
    these modules call, the outermost is what the user asked for: some formats are made
    of a SavedModel. An exporter that is called without Keras (`torch.export`, say) is
    not seen.
    """
    # Exporters are no part of what torch.compile traces, which cannot read frames.
    if is_dynamo_compiling():
        return None
    found = None
    frame = sys._getframe(1)
    while frame is not None:
        found = FORMATS.get(frame.f_globals.get("__name__"), found)
        frame = frame.f_back
    return found
