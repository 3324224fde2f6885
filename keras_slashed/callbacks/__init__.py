"""Callbacks for `model.fit`."""

from keras_slashed.callbacks.rate_monitor import RateMonitor

__all__ = ["RateMonitor"]
