"""What a classifier looked at, in nats: perturbations of its input, from Theorem 5.1."""

from keras_slashed.attribution.attribution_map import Attribution
from keras_slashed.attribution.attribution_map import amplitude_attribution
from keras_slashed.attribution.figure import plot_attribution

__all__ = ["Attribution", "amplitude_attribution", "plot_attribution"]
