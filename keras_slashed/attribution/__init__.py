"""What a classifier looked at, in nats: perturbations of its input, from Theorem 5.1."""

from keras_slashed.attribution.amplitude_attribution import Attribution
from keras_slashed.attribution.amplitude_attribution import amplitude_attribution
from keras_slashed.attribution.plot_attribution import plot_attribution

__all__ = ["Attribution", "amplitude_attribution", "plot_attribution"]
