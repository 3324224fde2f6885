"""Callbacks for `model.fit`."""

from keras_slashed.callbacks.geco import GECO
from keras_slashed.callbacks.kl_annealing import CyclicalAnnealing
from keras_slashed.callbacks.kl_annealing import KLWarmup
from keras_slashed.callbacks.rate_monitor import RateMonitor
from keras_slashed.callbacks.rate_schedule import RateSchedule
from keras_slashed.callbacks.rate_schedule import RateWarmup

__all__ = [
    "GECO",
    "CyclicalAnnealing",
    "KLWarmup",
    "RateMonitor",
    "RateSchedule",
    "RateWarmup",
]
