"""Measures of an encoder: streaming metrics, and functions of a data set."""

from keras_slashed.metrics.disentanglement import dci
from keras_slashed.metrics.disentanglement import factor_vae_score
from keras_slashed.metrics.disentanglement import mutual_information_gap
from keras_slashed.metrics.importance_weighting import ImportanceWeightedNLL
from keras_slashed.metrics.importance_weighting import importance_weighted_nll
from keras_slashed.metrics.mean_rate import Rate
from keras_slashed.metrics.mean_rate import rate
from keras_slashed.metrics.mutual_information_estimate import mutual_information
from keras_slashed.metrics.mutual_information_metric import MutualInformation
from keras_slashed.metrics.unit_activity import ActiveUnits
from keras_slashed.metrics.unit_activity import active_units
from keras_slashed.metrics.unit_activity import unit_variances

__all__ = [
    "ActiveUnits",
    "ImportanceWeightedNLL",
    "MutualInformation",
    "Rate",
    "active_units",
    "dci",
    "factor_vae_score",
    "importance_weighted_nll",
    "mutual_information",
    "mutual_information_gap",
    "rate",
    "unit_variances",
]
