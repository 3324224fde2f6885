"""One row of `applications.strong_attacks`: load a trained classifier and attack it."""

import dataclasses
import hashlib
import math
import pathlib
import time

from applications.attacks.fgsm import EPSILONS
from applications.attacks.worst_case import FGSM
from applications.attacks.worst_case import PGD
from applications.attacks.worst_case import StrongAttacks
from applications.datasets.image_data import PIXEL_RANGE
from applications.datasets.images import load
from applications.experiment import provenance
from applications.experiment import sealed_weights
from applications.experiment.provenance import describe_run
from applications.experiment.result_table import ResultTable
from applications.experiment.resumable_training import RowFiles
from applications.table1.compiled_classifier import build_classifier
from applications.table1.config import ADDED_COLUMNS
from applications.table1.config import Setting
from applications.training.epoch_seeds import set_noise
from applications.training.model_state import assign
from keras_slashed.calibration import calibrate

STRENGTHS = tuple(eps for eps in EPSILONS if eps > 0.0)
# Names of the attacks on classifiers that draw, and the options of the classifier whose gradient
# each of them follows. The gradient of one draw is noisier than that of the mean of many. Where
# only the mean of the posterior goes on, the gradient has no noise.
SURROGATES = {"fgsm_one_draw": {}, "fgsm_posterior_mean": {"inference": "mean"}}
ATTACKS = (*FGSM, *SURROGATES, *PGD)
OWN_COLUMNS = (
    *("images", "steps", "restarts", "step_size", "attack_seed", "weights_sha256", "calibrated"),
    *("rate_factor", "average"),
)
_SETTING = (*Setting().columns(), *OWN_COLUMNS)
COLUMNS = (
    *("normalization", "r", "images", "eps_0.0"),
    *(f"{name}_eps_{eps}" for name in (*ATTACKS, "worst") for eps in STRENGTHS),
    *("zero_gradient", "certain", "zero_pixels"),
    *(f"table_eps_{eps}" for eps in EPSILONS),
    *(name for name in _SETTING if name not in ("normalization", "r", "images")),
    *("data", "data_sha256", "attack_seconds"),
    *provenance.COLUMNS,
)
# Number of evaluations that compare images of a classifier that draws. Each evaluation uses as
# many draws as the classifier's own evaluation.
_ESTIMATES = 8
_NOT_MADE = [()] * len(STRENGTHS)  # in place of the results of an attack
# Images per batch. Each image is attacked at all strengths at once.
_BATCH = {"mlp": 250, "resnet18": 50}
_CALIBRATION_BATCH = 200


@dataclasses.dataclass(frozen=True)
class AttackSetting:
    """The options that identify a row."""

    classifier: Setting  # with which the classifier was trained
    weights_sha256: str  # checksum of the file of its weights
    trained_errors: tuple  # its errors in the table of the training, in percent at `EPSILONS`
    images: int = 1000  # number of first test images to attack
    steps: int = 20  # of PGD
    restarts: int = 10  # random starts of PGD
    step_size: float = 5.0  # of PGD, in units of `eps / steps`
    attack_seed: int = 0  # of PGD's random starts
    # Whether the moving mean square is first set to that of the training images, so that the rate
    # of the attacked classifier is the one that was set.
    calibrated: bool = False
    # By how much the moving mean square is then divided, which multiplies the rate.
    rate_factor: float = 1.0
    average: str = "probabilities"  # of the draws, or "logits"; the paper does not say

    @property
    def batch_size(self):
        """The number of images per batch."""
        return min(self.images, _BATCH[self.classifier.model])

    @property
    def searches(self):
        """The number of restarts over all batches of images, for the progress."""
        return math.ceil(self.images / self.batch_size) * self.restarts * len(PGD)

    def columns(self):
        """Return the columns that identify the row, as strings."""
        own = {name: str(getattr(self, name)) for name in OWN_COLUMNS}
        return {**self.classifier.columns(), **own}

    def label(self, data_sha256):
        """Return a unique name for the row's claim."""
        own = ",".join(str(getattr(self, name)) for name in OWN_COLUMNS)
        digest = hashlib.sha256(own.encode()).hexdigest()[:8]
        return f"{self.classifier.label(data_sha256)}_attacked_{digest}"


class AttackRunner:
    """Attack classifiers one after another. Classifiers of one shape share a compilation.

    A classifier that draws is attacked and evaluated by the mean class probabilities, or the mean
    logits, of as many draws as in its own evaluation, with new draws each time.

    Args:
        data: `ImageData` with the test images.
        models: Path of the folder with the trained classifiers.
        module: String. Name of the module that `python -m` runs, for the provenance.
    """

    def __init__(self, data, models, module):
        self.data = data
        self._models = models
        self._module = module
        self._made_for = None

    def __call__(self, setting, report=lambda done, logs: None):
        """Run a row.

        Args:
            setting: `AttackSetting` of the row.
            report: Function of the number of finished restarts and an empty dict.

        Returns:
            Dict of strings. The row of the table: errors and shares in percent, then what made
            the row. The errors of `SURROGATES` are "" for a classifier that does not draw.
        """
        start = time.monotonic()
        report(0, {})
        attacks = self._attacks(setting)
        done = 0

        def count():
            nonlocal done
            done += 1
            report(done, {})

        x, y = (array[: setting.images] for array in (self.data.x_test, self.data.y_test))
        findings = attacks(x, y, setting.batch_size, count)
        row = setting.columns()
        return {
            "normalization": row.pop("normalization"),
            "r": row.pop("r"),
            "images": row.pop("images"),
            "eps_0.0": _percent(findings.clean),
            **{
                f"{name}_eps_{eps}": _percent(wrong) if len(wrong) else ""
                for name in ATTACKS
                for eps, wrong in zip(STRENGTHS, findings.wrong.get(name, _NOT_MADE))
            },
            **{f"worst_eps_{eps}": _percent(w) for eps, w in zip(STRENGTHS, findings.worst)},
            "zero_gradient": _percent(findings.zero_gradient),
            "certain": _percent(findings.certain),
            "zero_pixels": _percent(findings.zero_pixels),
            **{f"table_eps_{eps}": e for eps, e in zip(EPSILONS, setting.trained_errors)},
            **row,
            "data": self.data.source,
            "data_sha256": self.data.sha256,
            "attack_seconds": f"{time.monotonic() - start:.0f}",
            **describe_run(self._module),
        }

    def _attacks(self, setting):
        """Return the `StrongAttacks` on a classifier, after setting its weights and noise."""
        own = dataclasses.replace(setting, classifier=setting.classifier.shape())
        own = dataclasses.replace(
            own, weights_sha256="", trained_errors=(), images=0, calibrated=False, rate_factor=1.0
        )
        if own != self._made_for:
            self._made = self._make(setting)
            self._made_for = own
        attacks, model, surrogates = self._made
        model.load_weights(RowFiles(self._models, setting.classifier, self.data.sha256).model)
        if setting.classifier.bottleneck == "vib":
            # A rate is no weight, and classifiers of one shape differ in it.
            rate = setting.classifier.target_rate(self.data.num_classes)
            model.get_layer("bottleneck").rate = rate
        if setting.calibrated:
            calibrate(model, self.data.x_train, batch_size=_CALIBRATION_BATCH)
        if setting.rate_factor != 1.0:
            square = model.get_layer("bottleneck").rate_normalization.moving_mean_square
            square.assign(square / setting.rate_factor)
        set_noise(model, setting.classifier.seed, setting.attack_seed)
        for number, surrogate in enumerate(surrogates, 1):
            assign(surrogate.variables, model.variables)
            set_noise(surrogate, setting.classifier.seed, setting.attack_seed, number)
        return attacks

    def _make(self, setting):
        classifier = setting.classifier
        draws = classifier.is_stochastic
        samples = classifier.num_samples if draws else None
        model = build_classifier(classifier, self.data, samples, average=setting.average)
        surrogates = {
            name: build_classifier(classifier, self.data, **options)
            for name, options in SURROGATES.items()
            if draws
        }
        attacks = StrongAttacks(
            model,
            STRENGTHS,
            PIXEL_RANGE,
            steps=setting.steps,
            restarts=setting.restarts,
            step_size=setting.step_size,
            estimates=_ESTIMATES if draws else 1,
            seed=setting.attack_seed,
            surrogates=surrogates,
        )
        return attacks, model, surrogates.values()


def result_table(path):
    """Return the `ResultTable` of a file with rows from `AttackRunner`."""
    naming = ("normalization", "r", "epochs", "seed", "images", "attack_seed")
    naming += ("calibrated", "rate_factor", "average")
    added = {**ADDED_COLUMNS, "calibrated": "False", "rate_factor": "1.0"}
    added["average"] = "probabilities"
    added |= {f"{name}_eps_{eps}": "" for name in SURROGATES for eps in STRENGTHS}
    return ResultTable(path, COLUMNS, (*_SETTING, "data_sha256"), naming, added)


def make_runner(source, *options):
    """Load the data and return an `AttackRunner`. Each worker process calls this once."""
    return AttackRunner(load(*source), *options)


def checksum(path):
    """Return the first 12 digits of the SHA-256 of a weight file.

    Raises:
        ValueError: If the file is damaged.
    """
    sealed_weights.check(pathlib.Path(path))
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:12]


def _percent(shares):
    return f"{100 * shares.mean():.2f}"
