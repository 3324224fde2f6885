"""What a trained latent carries, what pulls at it, and whether the two balance (Theorem 5.1)."""

from keras_slashed.diagnostics.diagnose import diagnose
from keras_slashed.diagnostics.diagnosis import Diagnosis

__all__ = ["Diagnosis", "diagnose"]
