"""Rate budgets: where the rate that a layer is told comes from."""

from keras_slashed.rates.committed_rate import CommittedRate
from keras_slashed.rates.fixed_rate import FixedRate
from keras_slashed.rates.learnable_rate import LearnableRate

__all__ = ["CommittedRate", "FixedRate", "LearnableRate"]
