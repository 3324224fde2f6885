"""The attacks of `foolbox`, which share no code with ours, on a classifier that holds a VIB."""

import warnings

import keras
import numpy as np
from keras import ops

from applications.models import mlp
from tests.support import BACKEND
from tests.support import to_numpy

with warnings.catch_warnings():
    # SciPy's Gaussian blur imports from a module that SciPy 2 will not have.
    warnings.simplefilter("ignore", DeprecationWarning)
    import foolbox

PIXEL_RANGE = (-1.0, 1.0)


def classifier():
    """Return a classifier that transmits 3 nats, and does not draw at inference."""
    keras.utils.set_random_seed(0)
    model = mlp.build(
        input_shape=(6,), num_classes=4, hidden_units=(12,), bottleneck_units=8, rate=3.0,
        inference="mean",
    )  # fmt: skip
    model(images(100)[0], training=True)  # for the moving mean square
    return model


def images(number):
    """Return images and labels; some pixels are so near the ends that attacks leave the range."""
    rng = np.random.default_rng(1)
    x = rng.uniform(*PIXEL_RANGE, (number, 6)).astype("float32")
    return x, rng.integers(0, 4, number)


def attacked(attack, model, x, y, epsilons, bounds):
    """Return what an attack makes of images, and which of them are classified wrong.

    Two NumPy arrays, of shapes `(number of epsilons, *x.shape)` and
    `(number of epsilons, len(x))`.
    """
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y, dtype=_LABEL_DTYPE)
    epsilons = [float(eps) for eps in epsilons]
    _, clipped, is_adversarial = attack(_wrapped(model, bounds), x, y, epsilons=epsilons)
    return np.stack([to_numpy(image) for image in clipped]), to_numpy(is_adversarial)


# That of argmax, or foolbox asks NumPy 2 for `find_common_type`, which is gone.
_LABEL_DTYPE = "int32" if BACKEND == "jax" else "int64"


def _wrapped(model, bounds):
    if BACKEND == "torch":
        return foolbox.PyTorchModel(model.eval(), bounds)
    if BACKEND == "tensorflow":
        return foolbox.TensorFlowModel(model, bounds, device="/CPU:0")
    state = [v.value for v in model.trainable_variables]
    more = [v.value for v in model.non_trainable_variables]
    return foolbox.JAXModel(lambda x: model.stateless_call(state, more, x)[0], bounds)


class PgdFrom(foolbox.attacks.LinfPGD):
    """PGD that begins at the image plus eps times a given noise."""

    def __init__(self, noise, steps, step_size):
        super().__init__(rel_stepsize=step_size / steps, steps=steps, random_start=True)
        self._noise = ops.convert_to_tensor(noise)

    def get_random_start(self, x0, epsilon):
        return x0 + epsilon * type(x0)(self._noise)
