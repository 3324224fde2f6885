"""Serialization of a layer that is an argument of several other layers."""

import keras


def count_owner(layer):
    """Count another layer that received this layer as an argument."""
    layer.number_of_owners = getattr(layer, "number_of_owners", 0) + 1


def serialized_layer(layer):
    """Return the config of a layer that other layers received as an argument.

    If several layers share it, the config contains a key by which Keras recognizes, when it loads
    a file, that all configs with this key are the same object. Keras itself writes the key too
    late: into the original of a config of which it has already made a copy (seen with 3.15).
    """
    config = keras.saving.serialize_keras_object(layer)
    if getattr(layer, "number_of_owners", 1) > 1:
        config["shared_object_id"] = id(layer)
    return config


def deserialized_layer(value):
    """Return the layer of a config, or a number unchanged."""
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
