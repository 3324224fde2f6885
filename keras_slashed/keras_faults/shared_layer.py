"""A layer in the configurations of the layers that it was given to."""

import keras


def count_owner(layer):
    """Count one more layer to which a layer was given."""
    layer.number_of_owners = getattr(layer, "number_of_owners", 0) + 1


def serialized_layer(layer):
    """Return the config of a layer that was given to others.

    One that several layers share has the key by which Keras, when it loads a file, makes one
    object of all configs that have it. Keras writes the key itself, but too late: into the
    original of a config of which it has already taken a copy (seen with 3.15).
    """
    config = keras.saving.serialize_keras_object(layer)
    if getattr(layer, "number_of_owners", 1) > 1:
        config["shared_object_id"] = id(layer)
    return config


def deserialized_layer(value):
    """Return the layer of a config, or a number as it is."""
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
