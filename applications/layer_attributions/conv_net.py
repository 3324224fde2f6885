"""A small convolutional classifier with global pooling, for data that need no file."""

import keras
from keras import layers

LAYERS = ("convolution_1", "convolution_2")


def build(input_shape, num_classes=10, width=16):
    """Build the classifier, whose weights do not depend on the size of the images.

    Args:
        input_shape: Tuple of integers. Height, width and channels of one image.
        num_classes: Integer. Number of classes.
        width: Integer. Channels of the first convolution. The second has twice as many.
    """
    inputs = keras.Input(input_shape)
    x = inputs
    for name, channels in zip(LAYERS, (width, 2 * width)):
        x = layers.Conv2D(
            channels,
            3,
            padding="same",
            activation="relu",
            data_format="channels_last",
            name=name,
        )(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_last")(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x), name="conv_net")


def train(model, x, y, epochs, batch_size=50):
    """Train the classifier with Adam."""
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
