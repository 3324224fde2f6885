"""The convolutional classifiers of the comparison, for images of any size."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import keras

from applications.attributions.classifiers import chosen_setting
from applications.attributions.classifiers import trained_classifier
from applications.layer_attributions import conv_net
from applications.table1.compiled_classifier import build_classifier

RESNET_LAYERS = ("stage_2_block_2_relu", "stage_4_block_2_relu")
_ROW = "base"  # of Table 1
_EPOCHS = 20  # of the small network, which trains in seconds


class Classifier(NamedTuple):
    """A trained classifier."""

    model: keras.Model  # from images to logits
    build: Callable  # function of an input shape that returns the same model with initial weights
    layers: tuple  # names of the layers to compare by default
    columns: dict  # strings that describe the training


def with_channels(data):
    """Return `ImageData` whose images have an axis of channels."""
    if data.x_train.ndim == 4:
        return data
    arrays = {name: getattr(data, name)[..., None] for name in ("x_train", "x_test")}
    return dataclasses.replace(data, **arrays)


def classifier(options, data, module):
    """Return the `Classifier` of a data set: a ResNet18 of Table 1, or a small network.

    Args:
        options: Namespace of the command line's options.
        data: `ImageData` with channels.
        module: String. Name of the module that `python -m` runs.
    """
    if data.name == "digits":
        return _conv_net(data, options.epochs or _EPOCHS)
    setting = chosen_setting(options, _ROW)
    model = trained_classifier(setting, data, options.output, module)
    build = functools.partial(_build_resnet, setting, data)
    columns = {name: setting.columns()[name] for name in ("model", "width", "epochs", "seed")}
    return Classifier(model, build, RESNET_LAYERS, columns)


def _build_resnet(setting, data, input_shape):
    return build_classifier(setting, data, inference="mean", input_shape=input_shape)


def _conv_net(data, epochs):
    keras.utils.set_random_seed(0)
    model = conv_net.build(data.x_train.shape[1:])
    conv_net.train(model, data.x_train, data.y_train, epochs)
    columns = {"model": "conv_net", "width": "16", "epochs": str(epochs), "seed": "0"}
    return Classifier(model, conv_net.build, conv_net.LAYERS, columns)


def larger(classifier, input_shape):
    """Return the model of a `Classifier` for images of another size, with the same weights."""
    model = classifier.build(input_shape)
    model.set_weights(classifier.model.get_weights())
    return model
