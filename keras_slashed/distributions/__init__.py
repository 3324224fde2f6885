"""The normal distributions that amplitudes represent."""

from keras_slashed.distributions.multivariate_slashed_normal import MultivariateSlashedNormal
from keras_slashed.distributions.slashed_normal import SlashedNormal

__all__ = ["MultivariateSlashedNormal", "SlashedNormal"]
