"""What the commands of the benchmarks have in common."""

import argparse

from applications.experiment.command_line import Parser
from applications.experiment.command_line import nonnegative_number
from benchmarks.harness.frameworks import BACKEND
from benchmarks.harness.frameworks import MODES


def make_parser(module, description, output="results/stdplus"):
    """Return a parser of options, including --output.

    Args:
        module: String. Name of the module that `python -m` runs.
        description: String. Description of the command, which is printed unchanged.
        output: String. Default folder.
    """
    parser = Parser(module, description, output)
    if not MODES:
        parser.error(f"KERAS_BACKEND must be jax, tensorflow or torch, not {BACKEND}")
    return parser


def add_timing(parser, seconds):
    """Add the options that say how long to time a case.

    Args:
        parser: `Parser` to extend.
        seconds: Float. The default of --seconds.
    """
    parser.add("--repeats", positive, 15, metavar="N", help="time each function N times per case")
    parser.add("--seconds", nonnegative_number, seconds, metavar="S",
               help="end a case after S seconds, but not before 3 repeats")  # fmt: skip


def positive(text):
    """Return the positive integer that a text like "1000", "1e6" or "2^28" represents."""
    try:
        base, caret, exponent = text.partition("^")
        # As floats, so that a power that is too large raises an OverflowError at once.
        value = float(base) ** float(exponent) if caret else float(text)
        if not 1 <= value <= 2**53 or value != int(value):
            raise ValueError(text)
    except (ValueError, TypeError, ArithmeticError):
        raise argparse.ArgumentTypeError(
            f"must be a positive integer like 1000, 1e6 or 2^28, not {text!r}"
        ) from None
    return int(value)
