"""Model builders and the paper's experiments, run from a checkout."""

import os

# TensorFlow greets with pages of its own log unless told so before its import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
