"""Measures of an encoder: metrics to stream into, and functions of a data set."""

from keras_slashed.metrics.active_units import ActiveUnits
from keras_slashed.metrics.active_units import active_units
from keras_slashed.metrics.active_units import unit_variances
from keras_slashed.metrics.importance_weighted_nll import ImportanceWeightedNLL
from keras_slashed.metrics.importance_weighted_nll import importance_weighted_nll
from keras_slashed.metrics.mutual_information import mutual_information
from keras_slashed.metrics.mutual_information_metric import MutualInformation
from keras_slashed.metrics.rate import Rate
from keras_slashed.metrics.rate import rate

__all__ = [
    "ActiveUnits",
    "ImportanceWeightedNLL",
    "MutualInformation",
    "Rate",
    "active_units",
    "importance_weighted_nll",
    "mutual_information",
    "rate",
    "unit_variances",
]
