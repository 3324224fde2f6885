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
        num_resamples: Integer. Number of bootstrap samples of DCI, each of which grows a forest
            for each factor.

    Returns:
        Dict of the numbers of the row, and a dict of lists of numbers with more than that.
    """
    x, factors = data.x_test, data.factors_test
    options = {"batch_size": 500, "seed": seed}
    scores = vae.model.evaluate(x, x, batch_size=500, verbose=0, return_dict=True)
    amplitude = vae.encoder.predict(x, batch_size=500, verbose=0)
    gap = metrics.mutual_information_gap(same, amplitude, factors, **options)
    drawn = metrics.mutual_information_gap(same, amplitude, factors, "sample", **options)
    votes = metrics.factor_vae_score(same, amplitude, factors, **options)
    dci = metrics.dci(same, amplitude, factors, num_resamples=num_resamples, **options)
    information = metrics.mutual_information(same, amplitude, **options)
    numbers = {
        "reconstruction": scores["reconstruction"],
        "rate": float(unit_rates(amplitude).sum()),
        "information": information.estimate,
        "mig": gap.estimate,
        "mig_error": gap.standard_error,
        "mig_of_draws": drawn.estimate,
        "mig_of_draws_error": drawn.standard_error,
        "factor_vae": votes.estimate,
        "factor_vae_error": votes.standard_error,
        "disentanglement": dci.disentanglement,
        "completeness": dci.completeness,
        "informativeness": dci.informativeness,
        "active_units": metrics.active_units(same, amplitude),
    }
    for name, error in zip(("disentanglement", "completeness", "informativeness"), dci[3]):
        numbers[f"{name}_error"] = float(error)
    details = {
        "unit_rates": unit_rates(amplitude),
        "information": gap.information,
        "information_of_draws": drawn.information,
        "importance": dci.importance,
        "accuracy": dci.scores,
        "entropies": gap.entropies,
    }
    return numbers, {name: np.round(values, 5).tolist() for name, values in details.items()}


def traversals(vae, steps=9, farthest=2.5):
    """Return images (K, steps, 32, 32): the decoder's, for one dimension after another.

    All other dimensions are at the mean of the prior, 0.

    Args:
        vae: `VAE`.
        steps: Integer. Number of values of a dimension.
        farthest: Float. The largest value, in standard deviations of the prior.
    """
    size = vae.decoder.inputs[0].shape[-1]
    z = np.eye(size)[:, None, :] * np.linspace(-farthest, farthest, steps)[:, None]
    logits = vae.decoder.predict_on_batch(z.reshape(-1, size).astype("float32"))
    return 1 / (1 + np.exp(-np.asarray(logits).reshape(size, steps, 32, 32)))


def same(x):
    """Return the argument: an encoder of amplitudes."""
    return x
