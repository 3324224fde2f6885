"""torchvision's ResNet18, for the paper's CIFAR-10 experiment (appendix E.2)."""

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
    average="probabilities",
    name="resnet18",
    **vib_options,
):
    """Build ResNet18 with a bottleneck before its last linear layer.

    The model has four stages of two batch-normalized basic blocks with `width`, `2 width`,
    `4 width` and `8 width` channels, followed by the mean over all positions. The paper's
    "output layer of dimension 512" is taken to be a linear layer of `bottleneck_units` after
    these pooled features. With `bottleneck="vib"` this layer outputs an amplitude of half as
    many latent dimensions, and `FixedRateVIB` follows it, before the last linear layer. With
    "beta_vib", `SlashedNormalSampling` takes that place. With "none" the layer has a ReLU, as
    in `applications.models.mlp`, and with "dropout" a `Dropout` follows it. The blocks have no
    dropout, since they are batch normalized.

    `build((224, 224, 3), 1000, "imagenet", bottleneck="none", bottleneck_units=None)` is
    torchvision's `resnet18()`. It has 11,689,512 trainable parameters, computes the same
    function of the same weights, and initializes the convolutions in the same way, and with
    `initializer="torch"` also the linear layer. The only difference is the moving variance:
    Keras updates it with the batch variance without Bessel's correction.

    For the arguments that are not below see `add_head`, whose features are the pooled ones.

    Args:
        input_shape: Tuple of integers. Height, width and channels of one image.
        stem: String. "cifar" is a 3x3 convolution that keeps the size, for small images.
            "imagenet" is a 7x7 convolution of stride 2 and max pooling.
        width: Integer. Channels of the first stage. torchvision has 64.
        augment: Boolean. Whether `RandomCropAndFlip` crops and mirrors images at random in
            training. It expects images in [-1, 1].
        initializer: String. As in `add_head`. Convolutions are always initialized as in
            torchvision.
        name: String. Name of the model.
        **vib_options: Keyword arguments of the VIB layer, the `vib_options` of `add_head`.

    Returns:
        `keras.Model` that maps images of shape `(batch, *input_shape)` to logits of shape
        `(batch, num_classes)`, as `add_head` returns them.

    Raises:
        ValueError: If `stem`, `bottleneck` or `initializer` is unknown, if `width` is not a
            positive integer, or if options of a VIB are given without a VIB.
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
    logits = add_head(x, num_classes, *head, relu_amplitude, initializer, average)
    return keras.Model(inputs, logits, name=name)


def _stem(x, stem, width):
    if stem == "cifar":
        return _relu(_convolution(x, width, 3, 1, "stem"), "stem")
    x = _relu(_convolution(x, width, 7, 2, "stem"), "stem")
    # Padding with zeros equals padding with minus infinity, since no value here is below 0.
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
    """Apply a convolution without bias, padded as in PyTorch, and batch normalization."""
    if strides > 1 and size > 1:
        # With a stride of 2, Keras' "same" pads only the far side.
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
