"""Amplitudes folded to posteriors that are no wider than their prior."""

import keras
import numpy as np
import pytest

from keras_slashed.ops import amplitude_to_normal
from keras_slashed.ops import narrow_amplitude
from keras_slashed.ops import rate
from tests.support import FLOAT_DTYPES
from tests.support import compiled
from tests.support import dtype_enabled
from tests.support import gradient
from tests.support import random_amplitude
from tests.support import to_numpy


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_mean_and_rate_stay(dtype):
    with dtype_enabled(dtype):
        amplitude = random_amplitude((50, 8), dtype)
        narrow = narrow_amplitude(amplitude)
        assert keras.backend.standardize_dtype(narrow.dtype) == dtype
        np.testing.assert_array_equal(to_numpy(rate(narrow)), to_numpy(rate(amplitude)))
        before, after = amplitude_to_normal(amplitude), amplitude_to_normal(narrow)
        np.testing.assert_array_equal(to_numpy(after[0]), to_numpy(before[0]))
        wide = to_numpy(before[1]) > 1
        assert wide.any()
        assert (to_numpy(after[1]) <= 1).all()
        unchanged = np.where(wide, to_numpy(after[1]), to_numpy(before[1]))
        np.testing.assert_array_equal(to_numpy(after[1]), unchanged)


def test_gradient():
    slope = to_numpy(gradient(narrow_amplitude, np.float32([[1.0, -2.0, 3.0, -4.0]])))
    np.testing.assert_array_equal(slope, [[1.0, 1.0, -1.0, 1.0]])


def test_compiled_equals_eager():
    amplitude = random_amplitude((5, 4))
    eager = to_numpy(narrow_amplitude(amplitude))
    np.testing.assert_array_equal(to_numpy(compiled(narrow_amplitude)(amplitude)), eager)


def test_a_model_with_it_is_saved(tmp_path):
    inputs = keras.Input((3, 8))
    model = keras.Model(inputs, narrow_amplitude(inputs))
    assert model.output_shape == (None, 3, 8)
    model.save(tmp_path / "model.keras")
    x = to_numpy(random_amplitude((2, 3, 8)))
    loaded = keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0)
    np.testing.assert_array_equal(loaded, np.concatenate([x[..., :4], -abs(x[..., 4:])], axis=-1))


@pytest.mark.parametrize("shape", [(3,), (), (2, 5)])
def test_an_amplitude_without_two_halves(shape):
    with pytest.raises(ValueError, match="amplitude"):
        narrow_amplitude(np.zeros(shape, "float32"))
