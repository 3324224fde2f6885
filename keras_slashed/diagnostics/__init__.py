"""What a trained latent carries, what pulls at it, and whether the two balance (Theorem 5.1)."""

from keras_slashed.diagnostics.diagnosis import Diagnosis
from keras_slashed.diagnostics.measurement import diagnose

__all__ = ["Diagnosis", "diagnose"]
