"""What the commands of the benchmarks have in common."""

import argparse

from applications.experiment.command_line import nonnegative_number
from benchmarks.harness.frameworks import BACKEND
from benchmarks.harness.frameworks import MODES


def make_parser(module, description):
    """Return a parser of arguments that knows --output.

    Args:
        module: Name of the module that `python -m` runs.
        description: Of the command, printed as it is.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not MODES:
        parser.error(f"KERAS_BACKEND must be jax, tensorflow or torch, not {BACKEND}")
    parser.add_argument(
        "--output",
        default="results/stdplus",
        metavar="FOLDER",
        help="write tables and pictures to this folder (default: results/stdplus)",
    )
    return parser


def add_timing(parser, seconds):
    """Let a parser know how long a case is timed.

    Args:
        parser: Of `make_parser`.
        seconds: The default of --seconds.
    """
    parser.add_argument(
        "--repeats",
        type=positive,
        default=15,
        metavar="N",
        help="time each function N times in a case (default: 15)",
    )
    parser.add_argument(
        "--seconds",
        type=nonnegative_number,
        default=seconds,
        metavar="S",
        help=f"end a case after S seconds and 3 repeats at the least (default: {seconds:g})",
    )


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
