"""How a command that fills a table ends after a refusal or an interruption."""

import functools
import sys

from applications.experiment.csv_tables import TableError

_GOES_ON = "Run the same command again to continue where it stopped."


def table_command(advice=_GOES_ON):
    """Return a decorator of a command's `main`, which prints one line instead of a traceback.

    After Ctrl-C the exit status is 130, as in shells. After a `TableError` it is 1, and the
    line states the reason.

    Args:
        advice: String. The text after "Interrupted."
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
