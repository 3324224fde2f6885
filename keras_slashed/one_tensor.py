"""Errors for tensors that Keras would otherwise convert: several at once, and complex ones."""

import numbers

import keras
from keras import tree

_AMPLITUDE_OF_A_NORMAL = (
    "To convert a mean `z_mean` and a log-variance `z_log_var` to an amplitude, use "
    "`keras_slashed.ops.normal_to_amplitude(z_mean, keras.ops.exp(z_log_var / 2))`. "
)


def check_one_tensor(name, value, hint=""):
    """Raise a ValueError if a value is several tensors. Nested numbers count as one tensor."""
    if isinstance(value, dict) or not all(map(_is_number, _entries(value))):
        _refuse(name, value, hint)


def check_one_amplitude(value):
    """Raise a ValueError if a value is several tensors instead of one amplitude."""
    check_one_tensor("amplitude", value, _AMPLITUDE_OF_A_NORMAL)


def check_one_amplitude_shape(shape):
    """Raise a ValueError if a shape, as Keras passes it to a layer, is that of several tensors."""
    if isinstance(shape, dict) or any(isinstance(part, (tuple, list, dict)) for part in shape):
        tensors = tree.map_shape_structure(keras.KerasTensor, shape)
        _refuse("amplitude", tensors, _AMPLITUDE_OF_A_NORMAL)


def check_one_output(name, function, outputs, hint=""):
    """Raise a ValueError if a function or Keras model returned several outputs.

    Args:
        name: String. Name of the function as an argument.
        function: Callable. The function.
        outputs: Tensor or nested structure of tensors. The outputs of the function.
        hint: String. Another way to select an output.
    """
    if not isinstance(outputs, (dict, list, tuple)):
        return
    path, _ = (*tree.flatten_with_path(outputs), ((0,), None))[0]
    key = "".join(f"[{part!r}]" for part in path)
    choice = f"lambda *inputs: {name}(*inputs){key}"
    if hasattr(function, "output"):
        choice = f"keras.Model({name}.input, {name}.output{key})"
    raise ValueError(
        f"`{name}` must return one tensor. Select one output, for example by `{choice}`. {hint}"
        + (_AMPLITUDE_OF_A_NORMAL if name == "encoder" else "")
        + f"Received: {_described(outputs, getattr(function, 'output_names', ()))}"
    )


def check_real(value):
    """Raise a ValueError if a value is complex, since Keras would drop its imaginary part."""
    leaves = [value] if hasattr(value, "dtype") else tree.flatten(value)
    if any(map(_is_complex, leaves)):
        raise ValueError(
            "Expected a real tensor. An amplitude a + bi is a real tensor of shape (..., 2K), "
            "whose last axis contains the real parts and then the imaginary parts. To convert a "
            "complex tensor x of shape (..., K), use "
            "`keras.ops.concatenate([keras.ops.real(x), keras.ops.imag(x)], axis=-1)`. "
            f"Received: {_complex_description(value)}"
        )


def _is_complex(leaf):
    return isinstance(leaf, complex) or "complex" in str(getattr(leaf, "dtype", ""))


def _complex_description(value):
    if not hasattr(value, "dtype"):
        return repr(value)
    dtype = keras.backend.standardize_dtype(value.dtype)
    return f"a tensor of dtype {dtype} and shape {tuple(value.shape)}"


def _refuse(name, value, hint):
    raise ValueError(
        f"Argument `{name}` must be one tensor. {hint}Received: {name}={_described(value)}"
    )


def _entries(value):
    return tree.flatten(value) if isinstance(value, (list, tuple)) else []


def _is_number(entry):
    return isinstance(entry, numbers.Number) or getattr(entry, "shape", None) == ()


def _described(value, names=()):
    """Return the type of a structure, and the name and shape of each tensor in it."""
    leaves = tree.flatten_with_path(value)
    keys = [".".join(map(str, path)) for path, _ in leaves]
    if len(names) == len(keys):
        keys = [f"{key} {name!r}" for key, name in zip(keys, names)]
    parts = ", ".join(f"{key}: {_kind(leaf)}" for key, (_, leaf) in zip(keys, leaves))
    return f"a {type(value).__name__} of {len(leaves)} ({parts})"


def _kind(leaf):
    return f"shape {tuple(leaf.shape)}" if hasattr(leaf, "shape") else type(leaf).__name__
