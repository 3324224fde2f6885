"""StrongAttacks: several attacks on one classifier, with the results of each input."""

import dataclasses

import numpy as np
from keras import ops

from applications.attacks.fgsm import filled_batch
from applications.attacks.fgsm import loss_gradient
from applications.attacks.fgsm import step_along
from applications.attacks.pgd import PgdSearch
from applications.attacks.pgd import weigh
from applications.training.backends import compile_with_state

# Names of the attacks, and the loss that each of them follows.
FGSM = {"fgsm": "crossentropy", "fgsm_margin": "margin"}
PGD = {"pgd_crossentropy": "crossentropy", "pgd_margin": "margin"}


@dataclasses.dataclass
class Findings:
    """The results of attacks on N inputs at E strengths."""

    # Whether each input itself is misclassified: booleans of shape `(N,)`.
    clean: np.ndarray
    # Whether each attacked image is misclassified: booleans of shape `(E, N)`, in a dict by the
    # name of the attack.
    wrong: dict
    # Whether the worst image of all attacks is misclassified: booleans of shape `(E, N)`.
    worst: np.ndarray
    # Whether the gradient of the cross-entropy that FGSM uses is exactly 0 in every pixel:
    # booleans of shape `(N,)`.
    zero_gradient: np.ndarray
    # Whether the cross-entropy itself is exactly 0, because p_y is 1 in float32: booleans of shape
    # `(N,)`. Then the true class contributes nothing to the gradient.
    certain: np.ndarray
    # The fraction of pixels in which that gradient is 0: floats of shape `(N,)`.
    zero_pixels: np.ndarray


class StrongAttacks:
    """Attack a classifier by FGSM and PGD, each on the cross-entropy and on the margin.

    Each image that an attack makes is classified once. Separate evaluations choose the worst
    image of all attacks. The classifications themselves do not, since for a classifier that
    draws they would select the unluckiest of many draws.

    The model's variables are read at each call, so nothing is compiled again when they change.

    Args:
        model: `keras.Model` that maps inputs to logits.
        epsilons: Sequence of positive floats. Strengths of the attacks.
        pixel_range: Tuple of two floats. The smallest and the largest value of a pixel.
        estimates: Integer. How often to evaluate the model to compare images.
        surrogates: Dict of `keras.Model` or None. For each of them there is another attack of its
            name: FGSM along the gradient of the cross-entropy of that model, which has the same
            inputs and outputs. An example is the classifier with fewer draws.
        **options: Further keyword arguments of `PgdSearch`, like `steps` and `seed`.

    Attributes:
        names: Tuple of strings. Names of the attacks.
    """

    def __init__(self, model, epsilons, pixel_range, estimates=1, surrogates=None, **options):
        surrogates = surrogates or {}
        self.names = (*FGSM, *surrogates, *PGD)
        self._epsilons = epsilons
        self._searches = {
            name: PgdSearch(model, epsilons, pixel_range, loss=loss, estimates=estimates, **options)
            for name, loss in PGD.items()
        }

        def fgsm(inputs, labels):
            gradients = [loss_gradient(model, inputs, labels, loss) for loss in FGSM.values()]
            gradients += [
                loss_gradient(surrogate, inputs, labels, "crossentropy")
                for surrogate in surrogates.values()
            ]
            images = [
                ops.clip(step_along(gradient, inputs, epsilons), *pixel_range)
                for gradient, _ in gradients
            ]
            gradient, values = gradients[list(FGSM.values()).index("crossentropy")]
            pixels = ops.reshape(gradient, (len(gradient), -1))
            zero = ops.cast(ops.equal(pixels, 0.0), "float32")
            return ops.stack(images), ops.mean(zero, axis=-1), ops.equal(values, 0.0)

        def judge(images, labels):
            wrong = ops.not_equal(ops.argmax(model(images, training=False), axis=-1), labels)
            return wrong, *weigh(model, images, labels, estimates)

        self._judge = compile_with_state(judge, model.variables)
        read = {id(v): v for one in (model, *surrogates.values()) for v in one.variables}
        self._fgsm = compile_with_state(fgsm, list(read.values()))

    def __call__(self, x, y, batch_size, report=lambda: None):
        """Attack inputs.

        Args:
            x: NumPy array of inputs.
            y: NumPy array of integer labels.
            batch_size: Integer. Number of inputs per batch.
            report: Function without arguments, which is called after each restart of PGD.

        Returns:
            `Findings`.
        """
        batch_size = min(batch_size, len(x))
        batches = [
            self._attack(*filled_batch(x, y, start, batch_size)[:2], start, report)
            for start in range(0, len(x), batch_size)
        ]
        clean, attacked, zero_pixels, certain = (
            np.concatenate(parts, axis=-1)[..., : len(x)] for parts in zip(*batches)
        )
        return Findings(
            clean=clean[0] > 0.0,
            wrong=dict(zip(self.names, attacked[0] > 0.0)),
            worst=worst_of(clean, attacked, self._epsilons),
            zero_gradient=zero_pixels == 1.0,
            certain=certain,
            zero_pixels=zero_pixels,
        )

    def _attack(self, inputs, labels, first, report):
        """Return four arrays with the batch on the last axis.

        The first two are those of `worst_of` for the inputs and for the attacks' images. Their
        first axis has verdict, votes and margin. The other two are `zero_pixels` and `certain`.
        """
        images, zero_pixels, certain = self._fgsm(inputs, labels)
        images = [*images, *(s(inputs, labels, first, report) for s in self._searches.values())]
        attacked = [[self._verdict(one, labels) for one in attack] for attack in images]
        return (
            self._verdict(inputs, labels),
            np.moveaxis(np.array(attacked), 2, 0),
            ops.convert_to_numpy(zero_pixels),
            ops.convert_to_numpy(certain),
        )

    def _verdict(self, images, labels):
        return np.stack([ops.convert_to_numpy(part) for part in self._judge(images, labels)])


def worst_of(clean, attacked, epsilons):
    """Return the verdict on the worst image of each input, for each strength.

    The worst image has the most votes, and among ties the largest margin (`pgd.weigh`). The
    images of weaker attacks and the input itself are also within the reach of an attack, so
    they are compared too.

    Args:
        clean: Array of shape `(3, N)`. The verdicts on the inputs (1 is wrong), their votes and
            their margins.
        attacked: Array of shape `(3, attacks, E, N)`. The same for the attacks' images.
        epsilons: Sequence of E floats. The strengths.

    Returns:
        Boolean array of shape `(E, N)`.
    """
    worst = []
    for eps in epsilons:
        within = attacked[:, :, np.asarray(epsilons) <= eps].reshape(3, -1, clean.shape[1])
        verdicts, votes, margins = np.concatenate([clean[:, None], within], axis=1)
        place = np.lexsort((margins, votes), axis=0)[-1:]
        worst.append(np.take_along_axis(verdicts, place, axis=0)[0] > 0.0)
    return np.stack(worst)
