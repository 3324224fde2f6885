"""Error rates under one attack, from what the experiments call."""

import numpy as np
from keras import ops

from applications.attacks.fgsm import EPSILONS
from applications.attacks.fgsm import compile_fgsm
from applications.attacks.fgsm import filled_batch
from applications.attacks.pgd import PgdSearch
from tests.support import to_numpy


def fgsm_errors(
    model, x, y, epsilons, attacked_model=None, pixel_range=None, batch_size=500, **options
):
    """Return what the function of `compile_fgsm` returns at its first call."""
    attack = compile_fgsm(model, epsilons, attacked_model, pixel_range, **options)
    return attack(x, y, batch_size)


def compile_pgd(model, epsilons=EPSILONS, attacked_model=None, pixel_range=None, **options):
    """Return a function like that of `compile_fgsm`, which classifies what `PgdSearch` keeps.

    The search follows the loss of `attacked_model`, by default `model`, and reads the models'
    variables at each call. `model` classifies each image that it keeps once.
    """
    search = PgdSearch(attacked_model or model, epsilons, pixel_range, **options)

    def errors(x, y, batch_size=500):
        total = np.zeros(len(search.epsilons))
        for start in range(0, len(x), batch_size):
            inputs, labels, weights = filled_batch(x, y, start, min(batch_size, len(x)))
            images = search(inputs, labels, start)
            flat = ops.reshape(images, (-1, *images.shape[2:]))
            classes = to_numpy(model(flat, training=False)).argmax(-1)
            wrong = classes.reshape(images.shape[:2]) != to_numpy(labels)
            total += (wrong * to_numpy(weights)).sum(axis=-1)
        return total / len(x)

    return errors
