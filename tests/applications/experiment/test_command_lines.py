"""Every number that a command takes is refused where it makes no sense, before any data is read."""

import argparse
import importlib
import pathlib

import pytest

from benchmarks.harness.command_line import positive
from tests.support import BACKEND

COMMANDS = [
    ".".join(path.with_suffix("").parts)
    for folder in ("applications", "benchmarks")
    for path in sorted(pathlib.Path(folder).rglob("*.py"))
    if "command_line.Parser(" in path.read_text() or "make_parser(" in path.read_text()
    if '__name__ == "__main__"' in path.read_text()
]
# Names and places; any other option is a number, and refuses what is none.
TEXTS = {
    "codes", "data", "data_dir", "layers", "model", "models", "output", "row", "rows",
    "tfds_manual_dir", "vocabulary",
}  # fmt: skip
MAY_BE_0 = {
    "attack_seed", "betas", "blur", "checkpoint_seconds", "dropout", "flip_probability", "latency",
    "margin", "momentum", "seconds", "seed", "warmup", "weight_decay",
}  # fmt: skip
ENDS = {
    "momentum": "1.5", "flip_probability": "0.5", "seed": "2147483648", "attack_seed": "2147483648"
}  # fmt: skip


COMMANDS_WITH_POLICIES = [
    "applications.classifier",
    "applications.table1.__main__",
    "benchmarks.layer_speed",
]


class Built(Exception):
    """Raised to stop a command once its parser is complete."""


def options_of(module, monkeypatch):
    """Return the options of a command that take a value of one's own, and are no text."""

    def stop(parser, *_):
        raise Built(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Built) as built:
        importlib.import_module(module).parse_arguments([])
    monkeypatch.undo()
    (parser,) = built.value.args
    return [
        action
        for action in parser._actions
        if action.nargs != 0 and action.choices is None and action.dest not in TEXTS
    ]


def test_the_commands_are_found():
    assert len(COMMANDS) >= 16
    assert {"applications.classifier", "applications.table2.__main__", "benchmarks.layer_speed"} < {
        *COMMANDS
    }


@pytest.mark.parametrize("module", COMMANDS)
def test_numbers_out_of_range_are_refused(module, monkeypatch, capsys):
    parse = importlib.import_module(module).parse_arguments
    for action in options_of(module, monkeypatch):
        (option,) = action.option_strings
        # The seeds of most benchmarks are how many there are.
        seeds = action.dest == "seeds" and isinstance(action.default, list)
        name = "seed" if seeds else action.dest
        values = ["nan", "-nan", "inf", "-inf", "-1", "-1e-9", "1e400", "two", "", "9" * 5000]
        values += ["0"] if name not in MAY_BE_0 else []
        values += [ENDS[name]] if name in ENDS else []
        for value in values:
            with pytest.raises(SystemExit) as stopped:
                parse([f"{option}={value}"])
            error = capsys.readouterr().err
            assert stopped.value.code == 2
            assert f"argument {option}: must be " in error, (option, value)
            assert error.endswith(f", not {value!r}\n"), (option, value)


@pytest.mark.parametrize("module", COMMANDS)
def test_the_help_tells_every_default(module, monkeypatch):
    for action in options_of(module, monkeypatch):
        if action.default is not None:
            assert "(default: " in action.help, action.option_strings


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("", "runs/table1"),
        ("--preset short", "runs/table1/short"),
        ("--preset short --output there", "there"),
    ],
)
def test_each_preset_has_a_folder(command, expected):
    for module in ("applications.table1.__main__", "applications.attributions.__main__"):
        options = importlib.import_module(module).parse_arguments(command.split())
        assert options.output == expected


@pytest.mark.parametrize("command", COMMANDS_WITH_POLICIES)
def test_policies_that_layers_do_not_compute_in_are_refused(command, capsys):
    parse = importlib.import_module(command).parse_arguments
    off = ["float64"] if BACKEND == "jax" else []  # JAX would compute in float32
    for policy in ["float99", "", "int8", "int32", "bool", "string", "int8_from_float32", *off]:
        with pytest.raises(SystemExit):
            parse([f"--dtype-policy={policy}"])
        error = capsys.readouterr().err
        assert "argument --dtype-policy: must be a dtype policy" in error
        assert error.endswith(f", not {policy!r}\n")
    for policy in ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16"):
        assert policy in parse([f"--dtype-policy={policy}"]).dtype_policy


def test_numbers_at_the_ends_of_their_ranges_are_taken():
    parse = importlib.import_module("applications.classifier").parse_arguments
    options = parse(
        "--seed 0 2147483647 --momentum 0 --weight-decay 0 --checkpoint-seconds 0 "
        "--rate-multiplier 1e-30 --epochs 1".split()
    )
    assert options.seed == [0, 2**31 - 1]
    assert options.momentum == options.weight_decay == options.checkpoint_seconds == 0
    parse = importlib.import_module("applications.half_moons.__main__").parse_arguments
    assert parse("--betas 0 --flip-probability 0.4999".split()).betas == [0]


def test_a_power_too_large_is_refused_at_once():
    """Its digits would take hours."""
    for text in ("9^999999999999", "0^-1", "-8^0.5", "2^", "2^54"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be a positive integer"):
            positive(text)
    assert [positive(text) for text in ("1", "1e6", "2^28", "10^3")] == [1, 10**6, 2**28, 1000]
