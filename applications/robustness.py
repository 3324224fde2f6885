"""One row of Table 1: train a classifier, then attack it."""

import csv
import dataclasses
import json
import math
import pathlib
import time

import keras

from applications import mlp
from applications.fgsm import EPSILONS
from applications.fgsm import fgsm_errors
from applications.optimizers import build_adam
from keras_slashed.callbacks import RateMonitor

_VIB_COLUMNS = ("r", "part", "relu_amplitude", "momentum", "num_samples", "attack_samples")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What decides a row; the defaults are the paper's where it names a value.

    Attributes:
        dataset: Name of the data set.
        bottleneck: "none", "dropout" or "vib".
        normalization: Of the VIB.
        rate_multiplier: r: the rate is `r log(number of classes)` nats.
        part: Of the amplitude that is normalized.
        epochs: The paper: 400.
        batch_size: Not in the paper.
        seed: Of weights, shuffling and noise.
        learning_rate: Of Adam at the start.
        learning_rate_decay: Factor of the learning rate every 2 epochs.
        weight_decay: The paper does not say which kind.
        weight_decay_kind: "coupled" as in PyTorch's Adam, or "decoupled".
        relu_amplitude: Whether the amplitude goes through a ReLU. Not in the paper.
        momentum: Of the moving mean square. Not in the paper.
        num_samples: Posterior draws averaged in evaluation.
        attack_samples: Draws averaged in the attacked loss. Not in the paper.
    """

    dataset: str = "mnist"
    bottleneck: str = "vib"
    normalization: str = "batch"
    rate_multiplier: float = 1.0
    part: str = "both"
    epochs: int = 400
    batch_size: int = 100
    seed: int = 0
    learning_rate: float = 1e-4
    learning_rate_decay: float = 0.99
    weight_decay: float = 1e-4
    weight_decay_kind: str = "coupled"
    relu_amplitude: bool = False
    momentum: float = 0.99
    num_samples: int = 12
    attack_samples: int = 12

    @property
    def row_name(self):
        """The row's name in Table 1: a normalization, "base" or "dropout"."""
        names = {"vib": self.normalization, "none": "base", "dropout": "dropout"}
        return names[self.bottleneck]

    def label(self):
        """Return a short name that tells the rows of a table apart."""
        r = f"_r{self.rate_multiplier:g}" if self.bottleneck == "vib" else ""
        return f"{self.dataset}_{self.row_name}{r}_epochs{self.epochs}_seed{self.seed}"


def build_model(setting, data, num_samples=None):
    """Build the classifier of a row, with `num_samples` posterior draws averaged."""
    options = {}
    if setting.bottleneck == "vib":
        options = {
            "rate": setting.rate_multiplier * math.log(data.num_classes),
            "normalization": setting.normalization,
            "part": setting.part,
            "momentum": setting.momentum,
            "relu_amplitude": setting.relu_amplitude,
            "num_samples": num_samples,
            "inference": "sample",
            "seed": setting.seed,
        }
    return mlp.build(
        input_shape=data.x_train.shape[1:],
        num_classes=data.num_classes,
        bottleneck=setting.bottleneck,
        **options,
    )


def train(setting, data, output, verbose=2):
    """Train the classifier of a row, and go on where a killed run stopped.

    Every epoch the state goes to `output/checkpoints/<label>` and a line to
    `output/history/<label>.csv`. A checkpoint of other settings is refused.

    Returns:
        The trained model, and its last line of history as a dict.
    """
    checkpoints = pathlib.Path(output) / "checkpoints" / setting.label()
    history = pathlib.Path(output) / "history" / f"{setting.label()}.csv"
    history.parent.mkdir(parents=True, exist_ok=True)
    _remember_setting(checkpoints, setting, data)
    keras.utils.set_random_seed(setting.seed)
    model = build_model(setting, data)
    steps = math.ceil(len(data.x_train) / setting.batch_size)
    schedule = keras.optimizers.schedules.ExponentialDecay(
        setting.learning_rate, 2 * steps, setting.learning_rate_decay, staircase=True
    )
    model.compile(
        optimizer=build_adam(schedule, setting.weight_decay, setting.weight_decay_kind),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        verbose=verbose,
        # Watched, never chosen by: one draw, and the rate with the moving mean square.
        validation_data=(data.x_test, data.y_test),
        validation_batch_size=500,
        callbacks=[
            RateMonitor(),
            keras.callbacks.CSVLogger(str(history), append=True),
            # Two: one of them is whole, whenever the run is killed.
            keras.callbacks.BackupAndRestore(
                str(checkpoints / "latest"), double_checkpoint=True, delete_checkpoint=False
            ),
        ],
    )
    with open(history, newline="") as file:
        return model, list(csv.DictReader(file))[-1]


def _remember_setting(folder, setting, data):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "setting.json"
    now = {**dataclasses.asdict(setting), "data_sha256": data.sha256}
    if path.exists() and (before := json.loads(path.read_text())) != now:
        changed = {key: (before.get(key), now[key]) for key in now if before.get(key) != now[key]}
        raise ValueError(
            f"The checkpoints in {folder} are of another setting: (before, now) = {changed}. "
            "Choose another --output, or delete them."
        )
    path.write_text(json.dumps(now, indent=2))


def evaluate(setting, data, model):
    """Return the test error in percent at each strength of the attack."""
    classifier = attacked = model
    if setting.bottleneck == "vib":
        classifier = build_model(setting, data, setting.num_samples)
        classifier.set_weights(model.get_weights())
        if setting.attack_samples == setting.num_samples:
            attacked = classifier
        elif setting.attack_samples > 1:
            attacked = build_model(setting, data, setting.attack_samples)
            attacked.set_weights(model.get_weights())
    errors = fgsm_errors(classifier, data.x_test, data.y_test, EPSILONS, attacked)
    return {f"eps_{eps}": round(100 * float(error), 2) for eps, error in zip(EPSILONS, errors)}


def columns(setting, data):
    """Return the columns of a row that say what it is: no other row has the same."""
    row = {key: str(value) for key, value in dataclasses.asdict(setting).items()}
    del row["bottleneck"]
    row["normalization"] = setting.row_name
    row["r"] = f"{setting.rate_multiplier:g}"
    del row["rate_multiplier"]
    if setting.bottleneck != "vib":
        for name in _VIB_COLUMNS:
            row[name] = ""
    return {**row, "data": data.source, "data_sha256": data.sha256}


def _split(row, *names):
    rest = {key: value for key, value in row.items() if key not in names}
    return {name: row[name] for name in names}, rest


def run(setting, data, output, verbose=2):
    """Train and evaluate one row.

    Returns:
        A dict: the row of the table, errors in percent, then what made it.
    """
    start = time.time()
    model, last_epoch = train(setting, data, output, verbose)
    trained = time.time()
    errors = evaluate(setting, data, model)
    vib = setting.bottleneck == "vib"
    target = setting.rate_multiplier * math.log(data.num_classes)
    name, made_by = _split(columns(setting, data), "normalization", "r")
    return {
        **name,
        **errors,
        "rate_nats": f"{float(last_epoch['bottleneck_rate']):.6g}" if vib else "",
        "test_rate_nats": f"{float(last_epoch['val_bottleneck_rate']):.6g}" if vib else "",
        "target_nats": f"{target:.6g}" if vib else "",
        "train_error": f"{100 * (1 - float(last_epoch['accuracy'])):.2f}",
        **made_by,
        "train_seconds": f"{trained - start:.0f}",
        "evaluate_seconds": f"{time.time() - trained:.1f}",
    }
