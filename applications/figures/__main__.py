"""Figures 2 and 3 of the paper.

    python -m applications.figures

Figure 2 shows the two roots of Eq. 6, and stdplus next to softplus. Figure 3 shows the error
of the paper's Algorithm 1, measured against mpmath, for each number of iterations. A further
line shows this package's stdplus, which does not iterate. The command writes figure2.png,
figure3.png and figure3.csv. `applications.half_moons` makes Figure 1.
"""

import pathlib

from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.figures import figure2
from applications.figures import figure3


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser("applications.figures", __doc__, "runs/figures")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Plot the figures into the folder that the command line names."""
    output = pathlib.Path(parse_arguments(arguments).output)
    output.mkdir(parents=True, exist_ok=True)
    figure2.draw(output / "figure2.png")
    rows = figure3.measure()
    run = describe_run("applications.figures")
    csv_tables.write_rows(output / "figure3.csv", [{**row, **run} for row in rows])
    figure3.draw(rows, output / "figure3.png")
    header = ["method", "dtype", "iterations", "promised", "error", "error_beyond_0.04"]
    print(csv_tables.markdown_table(header, [[row[name] for name in header] for row in rows]))
    print(f"written to {output}: figure2.png, figure3.png, figure3.csv")


if __name__ == "__main__":
    main()
