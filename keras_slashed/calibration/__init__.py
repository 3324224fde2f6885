"""Calibration: set the statistics of trained layers to those of a data set."""

from keras_slashed.calibration.mean_squares import calibrate

__all__ = ["calibrate"]
