import keras
import numpy as np
import pytest

from applications.datasets.image_store import ImageStore
from applications.datasets.images import load
from tests.support import to_numpy


@pytest.mark.parametrize("largest", [16, 255])
def test_the_very_floats_come_back(largest):
    rng = np.random.default_rng(0)
    images = rng.integers(0, largest + 1, (50, 5, 3)).astype("float32") * (2.0 / largest) - 1.0
    store = ImageStore(images)
    number = keras.Input((), dtype="int32")
    model = keras.Model(number, store(number))
    assert model.output.shape == (None, 5, 3)
    chosen = np.array([7, 49, 0, 7], "int32")
    found = model.predict(chosen, verbose=0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, images[chosen])
    assert to_numpy(store.codes).nbytes == images.size


def test_in_mixed_precision_too():
    images = load("digits").x_train[:20]
    store = ImageStore(images, dtype="mixed_bfloat16")
    np.testing.assert_array_equal(to_numpy(store(np.arange(20, dtype="int32"))), images)


def test_files_of_weights_hold_no_images(tmp_path):
    images = load("digits").x_train
    path = tmp_path / "model.weights.h5"

    def build(images):
        number = keras.Input((), dtype="int32")
        x = keras.layers.Flatten()(ImageStore(images)(number))
        return keras.Model(number, keras.layers.Dense(2)(x))

    build(images).save_weights(path)
    assert path.stat().st_size < images.size / 2
    other = build(images[::-1])
    other.load_weights(path)
    kept = other.layers[1](np.array([0], "int32"))
    np.testing.assert_array_equal(to_numpy(kept)[0], images[-1])


def test_images_of_too_many_levels_are_refused():
    images = np.linspace(-1, 1, 1000, dtype="float32").reshape(10, 10, 10)
    with pytest.raises(ValueError, match=r"multiples of 2/255.*from -1.0 to 1.0"):
        ImageStore(images)
