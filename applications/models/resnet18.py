"""ResNet18 as torchvision has it, for the paper's CIFAR-10 experiment (appendix E.2)."""

import keras
from keras import layers

from applications.checks import check_choice
from applications.checks import check_positive_integer
from applications.models.augmentation import RandomCropAndFlip
from applications.models.bottleneck_head import add_head
from applications.models.bottleneck_head import check_options

STEMS = ("cifar", "imagenet")
_BLOCKS_IN_A_STAGE = 2
_STAGES = 4


def build(
    input_shape=(32, 32, 3),
    num_classes=10,
    stem="cifar",
    width=64,
    augment=False,
    bottleneck="vib",
    bottleneck_units=512,
    relu_amplitude=False,
    initializer="keras",
    dropout=0.2,
    num_samples=None,
    name="resnet18",
    **vib_options,
):
    """Build ResNet18 with a bottleneck before its last linear layer.

    Four stages of two basic blocks with `width`, `2 width`, `4 width` and
    `8 width` channels, batch normalized, then the mean over all positions. The
    paper's "output layer of dimension 512" is read as a linear layer of
    `bottleneck_units` after these pooled features: with `bottleneck="vib"` it is
    an amplitude of half as many latent dimensions, and `FixedRateVIB` stands
    between it and the last linear layer; with "beta_vib" it is
    `SlashedNormalSampling`. With "none" it has a ReLU, as in `applications.models.mlp`,
    and with "dropout" a `Dropout` follows it: the blocks, being batch normalized,
    have none.

    `build((224, 224, 3), 1000, "imagenet", bottleneck="none", bottleneck_units=None)`
    is torchvision's `resnet18()`: 11,689,512 trainable parameters, the same function
    of the same weights, convolutions initialized alike, with `initializer="torch"` the
    linear layer too. One thing is Keras' own: the moving variance, which takes the batch's
    variance without Bessel's correction.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: Number of classes.
        stem: "cifar": a 3x3 convolution, which keeps the size, for small images.
            "imagenet": a 7x7 convolution of stride 2 and max pooling.
        width: Channels of the first stage; torchvision has 64.
        augment: Whether images are cropped and mirrored at random in training,
            by `RandomCropAndFlip`, for images in [-1, 1].
        bottleneck: "none", "dropout", "vib" or "beta_vib".
        bottleneck_units: Width of the layer before the bottleneck; even for a VIB.
            None for no such layer: the pooled features take its place.
        relu_amplitude: Whether the amplitude goes through a ReLU too.
        initializer: Of the linear layers after the blocks, "keras" or "torch": see
            `applications.models.linear`. Convolutions are always initialized as torchvision's.
        dropout: Rate of the dropout layer.
        num_samples: With a VIB, the number of posterior draws whose class
            probabilities are averaged; None for one draw.
        name: Name of the model.
        **vib_options: Of the VIB's layer: `rate` (needed for "vib"),
            `normalization`, `kl_weight`, `inference`, `seed`, ...

    Returns:
        A `keras.Model` from `(batch, *input_shape)` to logits of shape
        `(batch, num_classes)`; averaged over draws they are the logarithms of
        the mean class probabilities.

    Raises:
        ValueError: An unknown stem, bottleneck or initializer, a width that is not a positive
            integer, or options of a VIB without one.
    """
    check_choice("stem", stem, STEMS)
    check_positive_integer("width", width)
    check_options(bottleneck, num_samples, vib_options)
    inputs = keras.Input(input_shape, name="image")
    x = RandomCropAndFlip(name="augmentation")(inputs) if augment else inputs
    x = _stem(x, stem, width)
    for stage in range(_STAGES):
        for block in range(_BLOCKS_IN_A_STAGE):
            strides = 2 if stage > 0 and block == 0 else 1
            x = _basic_block(x, width * 2**stage, strides, f"stage_{stage + 1}_block_{block + 1}")
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="pooled")(x)
    head = bottleneck, bottleneck_units, dropout, num_samples, vib_options
    logits = add_head(x, num_classes, *head, relu_amplitude, initializer)
    return keras.Model(inputs, logits, name=name)


def _stem(x, stem, width):
    if stem == "cifar":
        return _relu(_convolution(x, width, 3, 1, "stem"), "stem")
    x = _relu(_convolution(x, width, 7, 2, "stem"), "stem")
    # Zeros are as good as minus infinity: nothing is below 0 here.
    x = _pad(x, 1, "stem_pool")
    return layers.MaxPooling2D(3, 2, data_format="channels_last", name="stem_pool")(x)


def _basic_block(x, channels, strides, name):
    shortcut = x
    if strides > 1 or x.shape[-1] != channels:
        shortcut = _convolution(x, channels, 1, strides, f"{name}_shortcut")
    x = _relu(_convolution(x, channels, 3, strides, f"{name}_a"), f"{name}_a")
    x = _convolution(x, channels, 3, 1, f"{name}_b")
    return _relu(layers.Add(name=f"{name}_add")([x, shortcut]), name)


def _convolution(x, channels, size, strides, name):
    """A convolution padded as PyTorch does it, without bias, and batch normalization."""
    if strides > 1 and size > 1:
        # "same" pads the far side alone where the stride is 2
        x = _pad(x, size // 2, name)
    x = layers.Conv2D(
        channels,
        size,
        strides,
        padding="same" if strides == 1 else "valid",
        data_format="channels_last",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        name=f"{name}_convolution",
    )(x)
    return layers.BatchNormalization(
        axis=-1, momentum=0.9, epsilon=1e-5, name=f"{name}_normalization"
    )(x)


def _relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(x)


def _pad(x, size, name):
    return layers.ZeroPadding2D(size, data_format="channels_last", name=f"{name}_padding")(x)
