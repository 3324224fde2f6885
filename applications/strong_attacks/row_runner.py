"""One row of `applications.strong_attacks`: load a trained classifier and attack it."""

import dataclasses
import hashlib
import math
import pathlib
import time

from applications.attacks.fgsm import EPSILONS
from applications.attacks.worst_case import ATTACKS
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

STRENGTHS = tuple(eps for eps in EPSILONS if eps > 0.0)
OWN_COLUMNS = ("images", "steps", "restarts", "step_size", "attack_seed", "weights_sha256")
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
# To compare images where a classifier draws; each has as many draws as its evaluation.
_ESTIMATES = 8
# Images at a time, of which each is attacked at every strength at once.
_BATCH = {"mlp": 250, "resnet18": 50}


@dataclasses.dataclass(frozen=True)
class AttackSetting:
    """What decides a row.

    Attributes:
        classifier: The `Setting` by which it was trained.
        weights_sha256: Checksum of the file of its weights.
        trained_errors: Its errors in the table of the training, in percent at `EPSILONS`.
        images: How many, the first ones of the test images.
        steps: Of PGD.
        restarts: Of PGD.
        step_size: Of PGD, in units of `eps / steps`.
        attack_seed: Of PGD's random starts.
    """

    classifier: Setting
    weights_sha256: str
    trained_errors: tuple
    images: int = 1000
    steps: int = 20
    restarts: int = 10
    step_size: float = 5.0
    attack_seed: int = 0

    @property
    def batch_size(self):
        """Images at a time."""
        return min(self.images, _BATCH[self.classifier.model])

    @property
    def searches(self):
        """Restarts of all batches of images, for the progress."""
        return math.ceil(self.images / self.batch_size) * self.restarts * len(PGD)

    def columns(self):
        """Return the row's columns that say what it is, as strings."""
        own = {name: str(getattr(self, name)) for name in OWN_COLUMNS}
        return {**self.classifier.columns(), **own}

    def label(self, data_sha256):
        """Return a name for the row's claim that no other setting has."""
        own = ",".join(str(getattr(self, name)) for name in OWN_COLUMNS)
        digest = hashlib.sha256(own.encode()).hexdigest()[:8]
        return f"{self.classifier.label(data_sha256)}_attacked_{digest}"


class AttackRunner:
    """Attack classifiers, one after the other; those of one shape compile once.

    One that draws is attacked and judged by the mean probabilities of as many draws as in
    its own evaluation, fresh ones each time.

    Args:
        data: An `ImageData`.
        models: The folder in which they were trained.
        module: Name of the module that `python -m` runs, for the provenance.
    """

    def __init__(self, data, models, module):
        self.data = data
        self._models = models
        self._module = module
        self._made_for = None

    def __call__(self, setting, report=lambda done, logs: None):
        """Run a row.

        Args:
            setting: An `AttackSetting`.
            report: Called with the number of restarts done, and an empty dict.

        Returns:
            A dict of strings: the row of the table, errors and shares in percent, then
            what made it.
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
                f"{name}_eps_{eps}": _percent(wrong)
                for name in ATTACKS
                for eps, wrong in zip(STRENGTHS, findings.wrong[name])
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
        """Return the `StrongAttacks` on a classifier, its weights and noise set."""
        own = dataclasses.replace(setting, classifier=setting.classifier.shape())
        own = dataclasses.replace(own, weights_sha256="", trained_errors=(), images=0)
        if own != self._made_for:
            self._made = self._make(setting)
            self._made_for = own
        attacks, model = self._made
        model.load_weights(RowFiles(self._models, setting.classifier, self.data.sha256).model)
        set_noise(model, setting.classifier.seed, setting.attack_seed)
        return attacks

    def _make(self, setting):
        classifier = setting.classifier
        draws = classifier.is_stochastic
        model = build_classifier(classifier, self.data, classifier.num_samples if draws else None)
        attacks = StrongAttacks(
            model,
            STRENGTHS,
            PIXEL_RANGE,
            steps=setting.steps,
            restarts=setting.restarts,
            step_size=setting.step_size,
            estimates=_ESTIMATES if draws else 1,
            seed=setting.attack_seed,
        )
        return attacks, model


def result_table(path):
    """Return the `ResultTable` of a file with rows of `AttackRunner`."""
    naming = ("normalization", "r", "epochs", "seed", "images", "attack_seed")
    return ResultTable(path, COLUMNS, (*_SETTING, "data_sha256"), naming, ADDED_COLUMNS)


def make_runner(source, *options):
    """Return an `AttackRunner` with its data loaded: what a worker process calls first."""
    return AttackRunner(load(*source), *options)


def checksum(path):
    """Return the SHA-256 of a file of weights, the first 12 digits.

    Raises:
        ValueError: The file is damaged.
    """
    sealed_weights.check(pathlib.Path(path))
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:12]


def _percent(shares):
    return f"{100 * shares.mean():.2f}"
