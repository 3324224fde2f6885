"""What is measured of a trained VAE, on images that it was not trained on."""

import numpy as np

from applications.disentangle.training import unit_rates
from keras_slashed import metrics


def evaluate(vae, data, seed, num_resamples=4):
    """Measure a VAE.

    Args:
        vae: `VAE`.
        data: `FactorData`.
        seed: Integer. Seed of draws, votes, forests and bootstrap samples.
        num_resamples: Integer. Number of bootstrap samples.

    Returns:
        Dict of the numbers of the row, and a dict of lists of numbers with more than that.
    """
    x, factors = data.x_test, data.factors_test
    scores = vae.model.evaluate(x, x, batch_size=500, verbose=0, return_dict=True)
    amplitude = vae.encoder.predict(x, batch_size=500, verbose=0)
    information = metrics.mutual_information(same, amplitude, batch_size=500, seed=seed)
    numbers = {
        "reconstruction": scores["reconstruction"],
        "rate": float(unit_rates(amplitude).sum()),
        "information": information.estimate,
        "active_units": metrics.active_units(same, amplitude),
    }
    details = {"unit_rates": unit_rates(amplitude)}
    for representation, end in (("mean", ""), ("sample", "_of_draws")):
        options = {
            "representation": representation,
            "batch_size": 500,
            "seed": seed,
            "num_resamples": num_resamples,
        }
        gap = metrics.mutual_information_gap(same, amplitude, factors, **options)
        votes = metrics.factor_vae_score(same, amplitude, factors, **options)
        dci = metrics.dci(same, amplitude, factors, **options)
        numbers[f"mig{end}"], numbers[f"mig{end}_error"] = gap[:2]
        numbers[f"factor_vae{end}"], numbers[f"factor_vae{end}_error"] = votes[:2]
        for index, name in enumerate(("disentanglement", "completeness", "informativeness")):
            numbers[f"{name}{end}"] = dci[index]
            numbers[f"{name}{end}_error"] = float(dci.standard_errors[index])
        details |= {
            f"information{end}": gap.information,
            f"importance{end}": dci.importance,
            f"accuracy{end}": dci.scores,
            "entropies": gap.entropies,
        }
    return numbers, {name: np.round(values, 5).tolist() for name, values in details.items()}


def traversals(vae, image, steps=9, farthest=2.5):
    """Return images (K, steps, 32, 32): the decoder's, for one dimension after another.

    All other dimensions are at the posterior mean of an image.

    Args:
        vae: `VAE`.
        image: Array (32, 32, 1).
        steps: Integer. Number of values of a dimension.
        farthest: Float. The largest value, in standard deviations of the prior.
    """
    amplitude = np.asarray(vae.encoder.predict_on_batch(image[None]))
    size = amplitude.shape[1] // 2
    z = np.tile(2**0.5 * amplitude[:, :size], (size, steps, 1))
    for k in range(size):
        z[k, :, k] = np.linspace(-farthest, farthest, steps)
    logits = vae.decoder.predict_on_batch(z.reshape(-1, size).astype("float32"))
    return 1 / (1 + np.exp(-np.asarray(logits).reshape(size, steps, 32, 32)))


def same(x):
    """Return the argument: an encoder of amplitudes."""
    return x
