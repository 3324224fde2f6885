"""Attribution of a model's decision to its input or a layer, in nats (Theorem 5.1)."""

from keras_slashed.attribution.attribution_map import amplitude_attribution
from keras_slashed.attribution.figure import plot_attribution
from keras_slashed.attribution.result import Attribution
from keras_slashed.attribution.text_figure import plot_tokens

__all__ = ["Attribution", "amplitude_attribution", "plot_attribution", "plot_tokens"]
