"""Gaussian latents with a known information rate for Keras 3."""

from keras_slashed import attribution
from keras_slashed import calibration
from keras_slashed import callbacks
from keras_slashed import coding
from keras_slashed import config
from keras_slashed import diagnostics
from keras_slashed import distributions
from keras_slashed import export
from keras_slashed import layers
from keras_slashed import metrics
from keras_slashed import ops
from keras_slashed import rates

__version__ = "0.1.0"

__all__ = [
    "attribution",
    "calibration",
    "callbacks",
    "coding",
    "config",
    "diagnostics",
    "distributions",
    "export",
    "layers",
    "metrics",
    "ops",
    "rates",
]
