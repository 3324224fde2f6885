"""Codes of known length: a latent in a fixed number of bits."""

from keras_slashed.coding.block_code import BlockCode
from keras_slashed.coding.code_files import load_codes
from keras_slashed.coding.code_files import save_codes
from keras_slashed.coding.model_fingerprint import fingerprint
from keras_slashed.coding.rate_margin import bits_for

__all__ = ["BlockCode", "bits_for", "fingerprint", "load_codes", "save_codes"]
