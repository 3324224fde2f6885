"""What the commands of the benchmarks have in common."""

import argparse

from applications.experiment.command_line import Parser
from applications.experiment.command_line import nonnegative_number
from benchmarks.harness.frameworks import BACKEND
from benchmarks.harness.frameworks import MODES


def make_parser(module, description, output="results/stdplus"):
    """Return a parser of options that knows --output.

    Args:
        module: Name of the module that `python -m` runs.
        description: Of the command, printed as it is.
        output: Default folder.
    """
    parser = Parser(module, description, output)
    if not MODES:
        parser.error(f"KERAS_BACKEND must be jax, tensorflow or torch, not {BACKEND}")
    return parser


def add_timing(parser, seconds):
    """Let a parser know how long a case is timed.

    Args:
        parser: Of `make_parser`.
        seconds: The default of --seconds.
    """
    parser.add("--repeats", positive, 15, metavar="N", help="time each function N times in a case")
    parser.add("--seconds", nonnegative_number, seconds, metavar="S",
               help="end a case after S seconds and 3 repeats at the least")  # fmt: skip


def positive(text):
    """Return the positive integer that "1000", "1e6" or "2^28" stands for."""
    try:
        base, caret, exponent = text.partition("^")
        # As floats: a power too large to compute is an OverflowError at once.
        value = float(base) ** float(exponent) if caret else float(text)
        if not 1 <= value <= 2**53 or value != int(value):
            raise ValueError(text)
    except (ValueError, TypeError, ArithmeticError):
        raise argparse.ArgumentTypeError(
            f"must be a positive integer like 1000, 1e6 or 2^28, not {text!r}"
        ) from None
    return int(value)
