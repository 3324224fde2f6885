"""The data and the classifiers of `applications.half_moons`."""

import keras
import numpy as np

from applications import extras
from applications.models import mlp
from applications.training.epoch_seeds import ShuffledBatches
from applications.training.epoch_seeds import fit
from applications.training.epoch_seeds import set_noise
from applications.training.model_state import assign
from keras_slashed.callbacks import RateMonitor

make_moons = extras.load("sklearn.datasets").make_moons

_BATCH_SIZE = 200


def make_data(flip_probability, num_train=4000, num_test=2000, noise=0.1, seed=0):
    """Return (x, flipped labels) for training and (x, true labels) for testing."""
    x, y = make_moons(num_train + num_test, noise=noise, random_state=seed)
    x = ((x - x[:num_train].mean(0)) / x[:num_train].std(0)).astype("float32")
    y = y.astype("int32")
    rng = np.random.default_rng(seed)
    flipped = np.where(rng.random(num_train) < flip_probability, 1 - y[:num_train], y[:num_train])
    return (x[:num_train], flipped), (x[num_train:], y[num_train:])


class Trainer:
    """A small classifier, compiled once and re-trained from the start for each value.

    Args:
        bottleneck: String, "vib" or "beta_vib".
        **vib_options: Keyword arguments of the bottleneck layer, `rate` or `kl_weight`. Both
            are variables, so other values require no new compilation.
    """

    def __init__(self, bottleneck, **vib_options):
        self._bottleneck = bottleneck
        self._model = self._build(**vib_options)
        self._classifier = self._build(num_samples=12, **vib_options)
        # One call per epoch, on the backends that support it.
        steps = 1 if keras.backend.backend() == "torch" else 20
        self._model.compile(
            optimizer=keras.optimizers.Adam(3e-3),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[
                keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy")
            ],
            steps_per_execution=steps,
        )
        self._model.optimizer.build(self._model.trainable_variables)
        # Copied to NumPy, because on JAX training donates the buffers of variables.
        self._start = [
            np.array(keras.ops.convert_to_numpy(variable), copy=True)
            for variable in self._model.optimizer.variables
        ]

    def _build(self, num_samples=None, **vib_options):
        return mlp.build(
            input_shape=(2,),
            num_classes=2,
            hidden_units=(64, 64),
            bottleneck_units=16,
            bottleneck=self._bottleneck,
            inference="sample",
            num_samples=num_samples,
            **vib_options,
        )

    def train(self, data, epochs, seed=0, callbacks=(), **vib_options):
        """Train one classifier.

        Args:
            data: Tuple that `make_data` returned.
            epochs: Integer. Number of passes over the training data.
            seed: Integer. Seed of weights, shuffling and noise.
            callbacks: Sequence of callbacks for `model.fit`.
            **vib_options: Keyword argument `rate` or `kl_weight`.

        Returns:
            Dict with three keys. `accuracy` is that on the test data, with class probabilities
            averaged over 12 draws. `cross_entropy` and `rate` are means over the training data
            in the last epoch, in nats.
        """
        (x, y), (x_test, y_test) = data
        keras.utils.set_random_seed(seed)
        assign(self._model.variables, self._build(**vib_options).variables)
        assign(self._model.optimizer.variables, self._start)
        self._model.get_layer("bottleneck").geco_factor = 1.0  # else GECO continues from the last
        batches = ShuffledBatches(x, y, _BATCH_SIZE, seed)
        history = fit(
            self._model, batches, seed, [*callbacks, RateMonitor()], epochs=epochs
        ).history
        assign(self._classifier.variables, self._model.variables)
        set_noise(self._classifier, seed)
        logits = self._classifier.predict_on_batch(x_test)
        return {
            "accuracy": float(np.mean(np.argmax(logits, -1) == y_test)),
            "cross_entropy": history["cross_entropy"][-1],
            "rate": history["bottleneck_rate"][-1],
        }
