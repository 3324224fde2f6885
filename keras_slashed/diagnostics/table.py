"""The table of a diagnosis."""

import numpy as np

_HEADERS = ("unit", "rate", "gradient", "residual", "error", "variance", "state", "Eq. 23")
_WIDTHS = (5, 10, 10, 10, 9, 10, 11, 11)


def table(diagnosis, max_rows):
    """Return a diagnosis as text: a line for each latent dimension, totals and a summary."""
    order = np.argsort(-diagnosis.rate, kind="stable")
    lines = [_line(_HEADERS), _line(["-" * (width - 2) for width in _WIDTHS])]
    hidden = len(order) - max(max_rows, 2)
    first = len(order) if hidden <= 0 else (max(max_rows, 2) + 1) // 2
    last = max(first + hidden, first)
    lines += [_unit(diagnosis, unit) for unit in order[:first]]
    if hidden > 0:
        lines.append(f"  ... {hidden} more ...")
    lines += [_unit(diagnosis, unit) for unit in order[last:]]
    totals = [diagnosis.rate, diagnosis.gradient_rate, diagnosis.residual]
    totals = [_number(values.sum()) for values in totals]
    counts = f"{_active(diagnosis)} active", f"{diagnosis.holds.sum()} hold"
    lines += [lines[1], _line(["all", *totals, "", "", *counts]), ""]
    return "\n".join(
        line.rstrip() for line in [_title(diagnosis), "", *lines, *_reading(diagnosis)]
    )


def verdicts(diagnosis):
    """Return "holds", "fails" or "undecided" for each latent dimension."""
    decided = np.where(diagnosis.fails, "fails", "undecided")
    return np.where(diagnosis.holds, "holds", decided)


def _title(diagnosis):
    return (
        f"Rate, gradient |G / (2 beta)|^2 and residual |psi + G / (2 beta)|^2 in nats, "
        f"beta = {diagnosis.beta:.4g}\n"
        f"{diagnosis.num_instances} instances, {diagnosis.num_samples} draws of each; "
        f"reconstruction term {diagnosis.loss:.4f} nats"
    )


def _unit(diagnosis, unit):
    numbers = (
        diagnosis.rate,
        diagnosis.gradient_rate,
        diagnosis.residual,
        diagnosis.standard_error,
        diagnosis.variance,
    )
    state = "collapsed" if diagnosis.collapsed[unit] else "active"
    numbers = [_number(values[unit]) for values in numbers]
    return _line([str(unit), *numbers, state, verdicts(diagnosis)[unit]])


def _number(value):
    # Avoid "-0.0000".
    return f"{value if abs(value) >= 5e-5 else 0.0:.4f}"


def _line(cells):
    return "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS))


def _active(diagnosis):
    return int(np.sum(~diagnosis.collapsed))


def _reading(diagnosis):
    collapsed, holds, fails = diagnosis.collapsed, diagnosis.holds, diagnosis.fails
    size, stuck = len(collapsed), np.sum(holds & collapsed)
    lines = [
        f"{collapsed.sum()} of {size} latent dimensions are collapsed. "
        f"Eq. 23, psi = -G / (2 beta), holds in {np.sum(holds) - stuck} of {_active(diagnosis)} "
        f"active and {stuck} of {collapsed.sum()} collapsed ones."
    ]
    if stuck:
        lines.append("Where it holds in a collapsed one, no mean gradient pulls it back.")
    if fails.any():
        raised = fails & (diagnosis.gradient_rate > diagnosis.rate)
        lines.append(
            f"Where it fails, one step of it would raise the rate in {raised.sum()} and lower it "
            f"in {np.sum(fails & ~raised)}."
        )
    undecided = size - int(np.sum(holds | fails))
    if undecided:
        lines.append(f"{undecided} undecided: more draws (`num_samples`) or instances would tell.")
    return lines
