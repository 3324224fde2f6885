"""Rate budgets: layers that provide the target rate of another layer."""

from keras_slashed.rates.committed_rate import CommittedRate
from keras_slashed.rates.fixed_rate import FixedRate
from keras_slashed.rates.learnable_rate import LearnableRate

__all__ = ["CommittedRate", "FixedRate", "LearnableRate"]
