"""Accuracy and speed beside what else there is, run from a checkout."""
