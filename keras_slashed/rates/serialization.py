"""Rates in the configuration of the layers they were given to."""

import keras


def count_owner(rate):
    """Count one more layer to which a layer of `keras_slashed.rates` was given."""
    rate.number_of_owners = getattr(rate, "number_of_owners", 0) + 1


def serialized_rate(rate):
    """Return the config of a rate that is a layer.

    One that several layers share has the key by which Keras, when it loads a file, makes one
    object of all configs that have it. Keras writes the key itself, but too late: into the
    original of a config of which it has already taken a copy (seen with 3.15).
    """
    config = keras.saving.serialize_keras_object(rate)
    if getattr(rate, "number_of_owners", 1) > 1:
        config["shared_object_id"] = id(rate)
    return config


def deserialized_rate(rate):
    """Return the rate of a config: a number, or a layer that was serialized."""
    return keras.saving.deserialize_keras_object(rate) if isinstance(rate, dict) else rate
