"""StrongAttacks: one classifier under several attacks, input by input."""

import dataclasses

import numpy as np
from keras import ops

from applications.attacks.fgsm import filled_batch
from applications.attacks.fgsm import loss_gradient
from applications.attacks.fgsm import step_along
from applications.attacks.pgd import PgdSearch
from applications.attacks.pgd import weigh
from applications.training.backends import compile_with_state

# Names of the attacks, and the loss that each follows.
FGSM = {"fgsm": "crossentropy", "fgsm_margin": "margin"}
PGD = {"pgd_crossentropy": "crossentropy", "pgd_margin": "margin"}
ATTACKS = (*FGSM, *PGD)


@dataclasses.dataclass
class Findings:
    """What came of attacking N inputs at E strengths.

    Attributes:
        clean: Booleans of shape `(N,)`: whether the input itself is classified wrong.
        wrong: By the name of an attack, booleans of shape `(E, N)`.
        worst: Booleans of shape `(E, N)`: whether the worst image of all attacks is.
        zero_gradient: Booleans of shape `(N,)`: whether the gradient of the
            cross-entropy, as FGSM takes it, is exactly 0 in every pixel.
        certain: Booleans of shape `(N,)`: whether the cross-entropy itself is exactly
            0, p_y being 1 in float32. No gradient comes by way of the true class then.
        zero_pixels: Shape `(N,)`: the share of pixels in which that gradient is 0.
    """

    clean: np.ndarray
    wrong: dict
    worst: np.ndarray
    zero_gradient: np.ndarray
    certain: np.ndarray
    zero_pixels: np.ndarray


class StrongAttacks:
    """Attack a classifier by FGSM and PGD, each on the cross-entropy and on the margin.

    Each image that an attack makes is classified once. The worst of all is chosen by
    evaluations apart, not by these verdicts: for a classifier that draws that would be
    the unluckiest of many draws.

    The model's variables are read anew at each call: when they change, nothing is
    compiled again.

    Args:
        model: Maps inputs to logits.
        epsilons: Strengths, positive.
        pixel_range: The least and the greatest value of a pixel.
        steps: Of PGD.
        restarts: Of PGD.
        step_size: Of PGD.
        estimates: How often the model is evaluated to compare images.
        seed: Of PGD's random starts.
    """

    def __init__(
        self,
        model,
        epsilons,
        pixel_range,
        steps=20,
        restarts=10,
        step_size=2.5,
        estimates=1,
        seed=0,
    ):
        self._epsilons = epsilons
        self._searches = {
            name: PgdSearch(
                model,
                epsilons,
                pixel_range,
                steps=steps,
                restarts=restarts,
                step_size=step_size,
                loss=loss,
                estimates=estimates,
                seed=seed,
            )
            for name, loss in PGD.items()
        }

        def fgsm(inputs, labels):
            images = []
            for loss in FGSM.values():
                gradient, values = loss_gradient(model, inputs, labels, loss)
                images.append(ops.clip(step_along(gradient, inputs, epsilons), *pixel_range))
                if loss == "crossentropy":
                    pixels = ops.reshape(gradient, (len(gradient), -1))
                    zero = ops.cast(ops.equal(pixels, 0.0), "float32")
                    certain = ops.equal(values, 0.0)
            return ops.stack(images), ops.mean(zero, axis=-1), certain

        def judge(images, labels):
            wrong = ops.not_equal(ops.argmax(model(images, training=False), axis=-1), labels)
            return wrong, *weigh(model, images, labels, estimates)

        self._judge = compile_with_state(judge, model.variables)
        self._fgsm = compile_with_state(fgsm, model.variables)

    def __call__(self, x, y, batch_size, report=lambda: None):
        """Attack inputs.

        Args:
            x: NumPy array of inputs.
            y: NumPy array of integer labels.
            batch_size: Inputs at a time.
            report: Called without arguments after each of PGD's restarts.

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
            wrong=dict(zip(ATTACKS, attacked[0] > 0.0)),
            worst=worst_of(clean, attacked, self._epsilons),
            zero_gradient=zero_pixels == 1.0,
            certain=certain,
            zero_pixels=zero_pixels,
        )

    def _attack(self, inputs, labels, first, report):
        """Return arrays with the batch on the last axis.

        Of the inputs, and of the attacks' images: verdict, votes and margin, on the first
        axis; see `worst_of`.
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

    The worst has the most votes, and of several the greatest margin (`pgd.weigh`). Images
    of a weaker attack are within reach of a stronger one, and so is the input itself.

    Args:
        clean: Verdicts on the inputs (1 is wrong), their votes and margins, shape
            `(3, N)`.
        attacked: The same of the attacks' images, shape `(3, attacks, E, N)`.
        epsilons: E strengths.

    Returns:
        Booleans of shape `(E, N)`.
    """
    worst = []
    for eps in epsilons:
        within = attacked[:, :, np.asarray(epsilons) <= eps].reshape(3, -1, clean.shape[1])
        verdicts, votes, margins = np.concatenate([clean[:, None], within], axis=1)
        place = np.lexsort((margins, votes), axis=0)[-1:]
        worst.append(np.take_along_axis(verdicts, place, axis=0)[0] > 0.0)
    return np.stack(worst)
