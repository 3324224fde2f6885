"""Functions of amplitudes: posteriors, rates, normalization and rotations."""

from keras_slashed.ops.amplitude import amplitude_to_normal
from keras_slashed.ops.amplitude import narrow_amplitude
from keras_slashed.ops.amplitude import normal_to_amplitude
from keras_slashed.ops.amplitude import rate
from keras_slashed.ops.householder import apply_householder
from keras_slashed.ops.householder import householder_rotation
from keras_slashed.ops.normalization import normalize_rate
from keras_slashed.ops.stdplus_operations import log_stdplus
from keras_slashed.ops.stdplus_operations import stdplus
from keras_slashed.ops.stdplus_operations import stdplus_inverse

__all__ = [
    "amplitude_to_normal",
    "apply_householder",
    "householder_rotation",
    "log_stdplus",
    "narrow_amplitude",
    "normal_to_amplitude",
    "normalize_rate",
    "rate",
    "stdplus",
    "stdplus_inverse",
]
