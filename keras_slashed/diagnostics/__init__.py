"""Diagnostics of a trained latent: rate, gradient, and whether they balance (Theorem 5.1)."""

from keras_slashed.diagnostics.diagnosis import Diagnosis
from keras_slashed.diagnostics.measurement import diagnose

__all__ = ["Diagnosis", "diagnose"]
