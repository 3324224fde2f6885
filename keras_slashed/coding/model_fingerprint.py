"""The fingerprint of a model, made of its configuration and its weights."""

import hashlib
import json

import keras
import numpy as np
from keras import ops

# What two copies of a model may differ in.
_LEFT_OUT = ("build_config", "compile_config", "trainable")
_SHARED = "shared_object_id"  # an address in memory, of which two equal ones are one layer
# Where the configurations of layers, and of the graph of a functional model, have names of layers.
_NAMES = ("name", "keras_history", "input_layers", "output_layers", _SHARED)


def fingerprint(model):
    """Return a fingerprint of a Keras model or layer, which codes can be bound to.

    It is the SHA-256 of the configuration and of the dtypes, shapes and values of the weights. It
    is the same on every backend, and in other versions of Keras unless these changed the
    configuration of a layer. The names that layers have do not matter, nor does which of them are
    trainable, how a model was compiled, or the mean rates that layers track for a `RateMonitor`.
    Of a model that does not define `get_config`, only the class and the weights matter. A lambda
    has no configuration that stays the same when it is loaded: use a registered function.

    Args:
        model: Keras model or layer, usually the decoder, that has been built.

    Returns:
        String of 64 hexadecimal digits.

    Raises:
        ValueError: If the model is not a Keras model or layer, has not been built, or contains a
            lambda.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> before = keras_slashed.coding.fingerprint(model)
    >>> model.set_weights([weight + 1.0 for weight in model.get_weights()])
    >>> before == keras_slashed.coding.fingerprint(model)
    False
    """
    if not isinstance(model, keras.layers.Layer) or not model.built:
        raise ValueError(
            "Argument `model` must be a Keras model or layer that has been built. "
            f"Received: model={model!r}"
        )
    hashed = hashlib.sha256(_configuration(model).encode())
    trackers = (getattr(layer, "rate_tracker", None) for layer in model._flatten_layers())
    mean_rates = {id(tracker.variable) for tracker in trackers if tracker is not None}
    for weight in model.weights:
        if id(weight) in mean_rates:
            continue
        value = weight.value
        if keras.backend.standardize_dtype(value.dtype) == "bfloat16":
            value = ops.cast(value, "float32")  # which NumPy has
        value = np.ascontiguousarray(ops.convert_to_numpy(value))
        value = value.astype(value.dtype.newbyteorder("<"))
        hashed.update(f"\n{value.dtype.str} {value.shape}\n".encode())
        hashed.update(value.tobytes())
    return hashed.hexdigest()


def _configuration(model):
    """Return the class and the configuration of a model as a text."""
    try:
        config = keras.saving.serialize_keras_object(model.get_config())
    except NotImplementedError:
        config = None
    names, ids = {}, {}
    _collect_names(config, names, ids)
    # Only layers that are shared within the model matter.
    names |= {key: f"shared {n}" for n, key in enumerate(key for key in ids if ids[key] > 1)}
    return json.dumps([type(model).__name__, _without_names(config, names)], sort_keys=True)


def _collect_names(config, names, ids):
    """Number the names of layers in order of their appearance, and count ids of shared ones."""
    if isinstance(config, dict):
        if _is_dtype_policy(config):
            return
        if config.get("class_name") == "__lambda__":
            raise ValueError(
                "Argument `model` must not contain a lambda, whose configuration changes when it "
                "is loaded, so that codes would not fit. Use a function that is registered by "
                "`keras.saving.register_keras_serializable`."
            )
        if isinstance(config.get("name"), str):
            names.setdefault(config["name"], f"name {len(names)}")
        if _SHARED in config:
            ids[config[_SHARED]] = ids.get(config[_SHARED], 0) + 1
        for key in sorted(config, key=str):
            _collect_names(config[key], names, ids)
    elif isinstance(config, (list, tuple)):
        for entry in config:
            _collect_names(entry, names, ids)


def _without_names(config, names, is_name=False):
    """Return a configuration with numbers for the names of layers.

    Other texts stay, since `"relu"` may be the name of one layer and the activation of another.
    """
    if isinstance(config, dict):
        inner = {} if _is_dtype_policy(config) else names
        # Newer versions of Keras add options that are None or False.
        return {
            str(key): _without_names(value, inner, is_name or key in _NAMES)
            for key, value in config.items()
            if value is not None and value is not False and key not in _LEFT_OUT
            if key != _SHARED or value in names
        }
    if isinstance(config, (list, tuple)):
        return [_without_names(entry, names, is_name) for entry in config]
    return names.get(config, config) if is_name and isinstance(config, (str, int)) else config


def _is_dtype_policy(config):
    """Return whether a configuration is that of a dtype policy, whose name says what it is."""
    return str(config.get("class_name")).endswith("DTypePolicy")
