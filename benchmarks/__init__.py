"""Accuracy and speed compared with alternatives, run from a checkout."""
