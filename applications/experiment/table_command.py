"""How a command that fills a table ends: refused, or interrupted."""

import functools
import sys

from applications.experiment.csv_tables import TableError

_GOES_ON = "Run the same command again to go on where it was."


def table_command(advice=_GOES_ON):
    """A decorator of a command's `main`: it ends with one line in place of a traceback.

    By Ctrl-C with exit status 130, as shells have it; where its table is refused with
    status 1 and the reason.

    Args:
        advice: What the line says after "Interrupted."
    """

    def decorate(main):
        @functools.wraps(main)
        def run(arguments=None):
            try:
                return main(arguments)
            except TableError as error:
                sys.exit(str(error))
            except KeyboardInterrupt:
                print(f"Interrupted. {advice}", file=sys.stderr)
                sys.exit(130)

        return run

    return decorate
