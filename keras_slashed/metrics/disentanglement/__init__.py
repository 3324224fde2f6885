"""Measures of disentanglement, which compare latent dimensions with known factors of the data."""

from keras_slashed.metrics.disentanglement.feature_importance import dci
from keras_slashed.metrics.disentanglement.information_gap import mutual_information_gap
from keras_slashed.metrics.disentanglement.majority_vote import factor_vae_score

__all__ = [
    "dci",
    "factor_vae_score",
    "mutual_information_gap",
]
