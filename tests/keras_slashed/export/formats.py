"""The formats of `model.export`: what writes, loads and runs each of them."""

import contextlib
import importlib.util
import io
import os
import warnings

import numpy as np

from tests.support import BACKEND

# Where Keras (3.15) writes a format at all, and with what packages a backend does so.
# Keras 3.12 has no "litert" and no "torch".
PACKAGES = {
    ("tf_saved_model", "tensorflow"): (),
    ("tf_saved_model", "jax"): ("tensorflow",),
    ("onnx", "tensorflow"): ("tf2onnx", "onnxruntime"),
    ("onnx", "jax"): ("jax2onnx", "onnxruntime"),
    ("onnx", "torch"): ("onnx", "onnxruntime"),
    ("openvino", "tensorflow"): ("openvino",),
    ("openvino", "torch"): ("openvino",),
    ("litert", "tensorflow"): (),
    ("litert", "torch"): ("litert_torch",),
    ("torch", "torch"): (),
}
FILES = {
    "tf_saved_model": "saved_model",
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
    "torch": "model.pt2",
}
NEWER = ("litert", "torch")


def offered(format):
    """Return whether Keras writes a format on this backend."""
    known = format not in NEWER or importlib.util.find_spec(f"keras.src.export.{format}")
    return bool(known) and (format, BACKEND) in PACKAGES


def missing_packages(format):
    """Return the packages that a format wants on this backend and that are not here."""
    packages = PACKAGES.get((format, BACKEND), ())
    return [name for name in packages if importlib.util.find_spec(name) is None]


def write(model, format, folder, **options):
    """Export a model into a folder and return the file's path."""
    path = os.path.join(folder, FILES[format])
    if format == "torch":
        # Without it the batch would have the size 1 for ever.
        import torch

        options = {"dynamic_shapes": {0: torch.export.Dim("batch")}, **options}
    with _quiet():
        model.export(path, format=format, verbose=False, **options)
    return path


def load(path, format):
    """Return a function of NumPy rows that runs what was exported, without Keras."""
    with _quiet():
        return _LOADERS[format](path)


def _load_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda x: np.asarray(loaded.serve(x))  # which does not hold its variables


def _load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda x: session.run(None, {given.name: x})[0]


def _load_openvino(path):
    import openvino

    # Else in bfloat16, where the processor has it.
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(path, "CPU", options)
    return lambda x: model(x)[0]


def _load_litert(path):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        interpreter = tf.lite.Interpreter(model_path=path)
    else:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=path)
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x):
        interpreter.resize_tensor_input(given["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def _load_torch(path):
    import torch

    module = torch.export.load(path).module()
    return lambda x: module(torch.from_numpy(x)).detach().numpy()


_LOADERS = {
    "tf_saved_model": _load_saved_model,
    "onnx": _load_onnx,
    "openvino": _load_openvino,
    "litert": _load_litert,
    "torch": _load_torch,
}


@contextlib.contextmanager
def _quiet():
    """Converters warn of their own deprecations, and print."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
