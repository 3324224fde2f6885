"""Models that are exported: three pieces to reuse, and one without our layers."""

import keras
import numpy as np

from keras_slashed.layers import FixedRateVIB
from keras_slashed.layers import SlashedNormalSampling

INFERENCES = ("mean", "sample")


def encoder(inference):
    """An encoder ends in an amplitude and its posterior."""
    inputs = keras.Input((6,), name="features")
    amplitude = keras.layers.Dense(8)(keras.layers.Dense(8, activation="relu")(inputs))
    latent = SlashedNormalSampling(inference=inference, seed=1, name="latent")
    return keras.Model(inputs, latent(amplitude), name="encoder")


def bottleneck(inference):
    """FixedRateVIB alone, with running statistics."""
    inputs = keras.Input((8,), name="amplitude")
    vib = FixedRateVIB(2.3, inference=inference, seed=1, name="vib")
    return keras.Model(inputs, vib(inputs), name="bottleneck")


def classifier(inference):
    """A classifier whose latent comes from a FixedRateVIB."""
    inputs = keras.Input((6,), name="features")
    vib = FixedRateVIB(2.3, "feature", inference=inference, seed=1, name="vib")
    latent = vib(keras.layers.Dense(8)(inputs))
    outputs = keras.layers.Dense(3, activation="softmax")(latent)
    return keras.Model(inputs, outputs, name="classifier")


PIECES = {"encoder": encoder, "bottleneck": bottleneck, "classifier": classifier}


def make_piece(name, inference):
    """Return one of `PIECES` with weights and statistics that are no initial ones."""
    model = PIECES[name](inference)
    model(rows(model, 32, seed=0), training=True)
    return model


def plain_model():
    """Return a model of Keras' own layers, to tell what Keras itself cannot export."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model(np.zeros((1, 4), "float32"))
    return model


def rows(model, number, seed=1):
    """Return inputs of a model."""
    shape = (number, model.input_shape[1])
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def sampling_layer(model):
    """Return the layer of a piece that draws."""
    layers = model._flatten_layers(include_self=False)
    (layer,) = [layer for layer in layers if isinstance(layer, SlashedNormalSampling)]
    return layer
