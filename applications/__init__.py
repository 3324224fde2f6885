"""Model builders and the paper's experiments, run from a checkout."""

import os

# TensorFlow prints pages of log messages unless this is set before its import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
