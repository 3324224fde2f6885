"""CompiledClassifier: training and attack, compiled once for all rows of one shape."""

import contextlib
import math

import keras
import numpy as np

from applications.attacks.fgsm import EPSILONS
from applications.attacks.fgsm import compile_fgsm
from applications.datasets.image_data import PIXEL_RANGE
from applications.datasets.image_store import ImageStore
from applications.models import mlp
from applications.models import resnet18
from applications.training.epoch_seeds import set_noise
from applications.training.model_state import assign
from applications.training.optimizers import build_adam
from keras_slashed.callbacks import RateMonitor

# Images per batch of the attack, each of which is attacked at every strength.
_ATTACK_BATCH = {"mlp": 500, "resnet18": 200}


def build_classifier(
    setting,
    data,
    num_samples=None,
    synchronized=False,
    inference="sample",
    input_shape=None,
    average="probabilities",
):
    """Build the classifier of a row, which averages `num_samples` posterior draws.

    With `synchronized` the VIB computes its statistics over all devices. With
    `inference="mean"` it draws only in training. `input_shape` is that of the data by default.
    A ResNet18 for larger images has the same weights.
    """
    options = {
        "input_shape": input_shape or data.x_train.shape[1:],
        "num_classes": data.num_classes,
        "bottleneck": setting.bottleneck,
        "initializer": setting.initializer,
    }
    if setting.is_stochastic:
        options |= {
            "relu_amplitude": setting.relu_amplitude,
            "num_samples": num_samples,
            "average": average,
            "inference": inference,
        }
    if setting.bottleneck == "vib":
        options |= {
            "rate": setting.target_rate(data.num_classes),
            "normalization": setting.normalization,
            "part": setting.part,
            "momentum": setting.momentum,
            "synchronized": synchronized,
        }
    elif setting.bottleneck == "beta_vib":
        options["kl_weight"] = setting.beta
    with _dtype_policy(setting.dtype_policy):
        if setting.model == "resnet18":
            own = {"stem": setting.stem, "width": setting.width, "augment": setting.augment}
            return resnet18.build(**options, **own)
        return mlp.build(**options)


def compile_for_training(model, setting, steps_per_epoch):
    """Compile a model with the optimizer and the loss of a row."""
    schedule = keras.optimizers.schedules.ExponentialDecay(
        setting.learning_rate,
        2 * steps_per_epoch,
        setting.learning_rate_decay,
        staircase=True,
    )
    model.compile(
        optimizer=build_adam(
            schedule,
            setting.weight_decay,
            setting.weight_decay_kind,
            epsilon=setting.adam_epsilon,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


@contextlib.contextmanager
def _dtype_policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class CompiledClassifier:
    """The models of a row, whose whole state `start` replaces by that of another row.

    The rate, beta, the weights, the seeds and the optimizer's state are variables. Rows that
    differ only in these, or in their initial weights, share the compilation of the first such
    row. `start` resets everything, so the result of a row does not depend on the rows before.

    Args:
        setting: `Setting`, which represents all settings of its shape.
        data: `ImageData` to train and test on.

    Attributes:
        classifier: Model that maps images to logits, with one draw.
        model: Model that maps indices of images to logits, with training images before test images.
        rate_monitor: `RateMonitor` to pass to `model.fit` and `model.evaluate`.
    """

    def __init__(self, setting, data):
        self.shape = setting.shape()
        self._data = data
        self.classifier = build_classifier(setting, data)
        store = ImageStore(np.concatenate([data.x_train, data.x_test]), name="images")
        number = keras.Input((), dtype="int32", name="number")
        self.model = keras.Model(number, self.classifier(store(number)))
        steps_per_epoch = math.ceil(len(data.x_train) / setting.batch_size)
        compile_for_training(self.model, setting, steps_per_epoch)
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        self._optimizer_start = [_copy(variable) for variable in optimizer.variables]
        self.rate_monitor = RateMonitor()
        self._judge = self._attacked = self.classifier
        if setting.is_stochastic:
            self._judge = self._attacked = build_classifier(setting, data, setting.num_samples)
            if setting.attack_samples != setting.num_samples:
                samples = setting.attack_samples if setting.attack_samples > 1 else None
                self._attacked = build_classifier(setting, data, samples)
        self._attack = compile_fgsm(self._judge, EPSILONS, self._attacked, PIXEL_RANGE)

    def start(self, setting):
        """Set the state to that of a newly built classifier for a setting.

        Raises:
            ValueError: If the setting has another shape.
        """
        if setting.shape() != self.shape:
            raise ValueError(
                "Argument `setting` must have the shape that was compiled. "
                f"Expected: {self.shape}. Received: {setting.shape()}"
            )
        keras.utils.set_random_seed(setting.seed)
        fresh = build_classifier(setting, self._data)
        assign(self.classifier.variables, fresh.variables)
        assign(self.model.optimizer.variables, self._optimizer_start)

    def attack(self, setting):
        """Return the fraction of misclassified test images at each of `EPSILONS`.

        Returns:
            Array of shape (2, number of epsilons). In the first row, attacked pixels are
            clipped to their range. In the second row they are not.
        """
        for model in {id(m): m for m in (self._judge, self._attacked)}.values():
            if model is not self.classifier:
                assign(model.variables, self.classifier.variables)
            set_noise(model, setting.seed, setting.epochs)
        return self._attack(self._data.x_test, self._data.y_test, _ATTACK_BATCH[setting.model])


def _copy(variable):
    return np.array(keras.ops.convert_to_numpy(variable), copy=True)
