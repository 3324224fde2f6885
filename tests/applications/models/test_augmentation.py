"""RandomCropAndFlip: windows searched for by brute force, and draws counted."""

import keras
import numpy as np
import pytest

from applications.models.augmentation import RandomCropAndFlip
from tests.support import BACKEND
from tests.support import to_numpy

# TensorFlow's graphs differ with and without XLA; torch.compile takes a minute.
JIT_COMPILE = {"tensorflow": [True, False], "jax": [True], "torch": [False]}


def images(count, height=5, width=4, channels=3):
    """Return images whose pixels all differ."""
    shape = (count, height, width, channels)
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype("float32")


def windows(image, padding, fill_value):
    """Return every window of a padded image: rows, columns, then as it is and mirrored."""
    height, width, channels = image.shape
    size = 2 * padding + 1
    padded = np.full((height + 2 * padding, width + 2 * padding, channels), fill_value, "float32")
    padded[padding : padding + height, padding : padding + width] = image
    result = np.empty((size, size, 2, *image.shape), "float32")
    for row in range(size):
        for column in range(size):
            window = padded[row : row + height, column : column + width]
            result[row, column] = window, window[:, ::-1]
    return result


def test_each_image_has_a_window_of_its_own():
    """All windows are as likely as one another, and rows, columns and mirroring independent."""
    x = images(1800)
    layer = RandomCropAndFlip(padding=1, fill_value=-7.0, seed=0)
    y = to_numpy(layer(x, training=True))
    assert y.shape == x.shape
    counts = np.zeros((3, 3, 2))
    for image, result in zip(x, y):
        equal = (windows(image, 1, -7.0) == result).all((-3, -2, -1))
        assert equal.sum() == 1
        counts += equal
    # 17 degrees of freedom: greater than 45 once in 4,000 times.
    assert ((counts - 100) ** 2 / 100).sum() < 45
    # Draws of the next call are others.
    assert (to_numpy(layer(x, training=True)) != y).any()


def test_it_does_nothing_at_inference():
    x = images(3)
    layer = RandomCropAndFlip()
    for training in (False, None):
        np.testing.assert_array_equal(to_numpy(layer(x, training=training)), x)


@pytest.mark.experiment("tensorflow")
@pytest.mark.parametrize("jit_compile", JIT_COMPILE[BACKEND])
def test_inside_fit(jit_compile):
    """White images on black: the mean over an epoch tells the share of black.

    Of a window of 8 rows, moved by d, uniform in -4 ... 4, a share of 1 - E|d|/8 is inside.
    The last batch is smaller than the others.
    """
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            RandomCropAndFlip(padding=4, fill_value=-1.0),
            keras.layers.Conv2D(1, 1, kernel_initializer="ones", data_format="channels_last"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.0),
        loss=lambda _, image: keras.ops.mean(image, axis=(1, 2, 3)),
        jit_compile=jit_compile,
    )
    x = np.ones((2050, 8, 8, 1), "float32")
    losses = model.fit(x, x, batch_size=100, epochs=2, verbose=0).history["loss"]
    mean_shift = 2 * (1 + 2 + 3 + 4) / 9
    np.testing.assert_allclose(losses, 2 * (1 - mean_shift / 8) ** 2 - 1, atol=0.03)
    assert losses[0] != losses[1]
    assert model.evaluate(x, x, verbose=0) == pytest.approx(1.0)


def test_one_seed_one_result_and_a_config_of_its_own():
    x = images(6)
    layer = RandomCropAndFlip(padding=2, fill_value=0.5, seed=3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    y = to_numpy(layer(x, training=True))
    np.testing.assert_array_equal(to_numpy(copy(x, training=True)), y)
    assert (y == 0.5).any()


def test_float16():
    layer = RandomCropAndFlip(dtype="mixed_float16")
    result = layer(images(2) / 1000, training=True)
    assert keras.backend.standardize_dtype(result.dtype) == "float16"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCropAndFlip(padding=0), "`padding` must be a positive integer.*padding=0"),
        (lambda: RandomCropAndFlip()(keras.Input((32, 32))), r"shape=\(None, 32, 32\)"),
        (lambda: RandomCropAndFlip()(keras.Input((None, 32, 3))), r"\(None, None, 32, 3\)"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
