"""Keras layers that take an amplitude, whose squared norm is the rate."""

from keras_slashed.layers.fixed_rate_vib import FixedRateVIB
from keras_slashed.layers.inference import set_inference
from keras_slashed.layers.rate_normalization import RateNormalization
from keras_slashed.layers.slashed_normal_sampling import SlashedNormalSampling

__all__ = ["FixedRateVIB", "RateNormalization", "SlashedNormalSampling", "set_inference"]
