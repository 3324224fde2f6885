"""Attempts at an experiment, all but the last of which are killed.

    python -m tests.applications.experiment.killed_attempts MODULE 'JSON of moments' ARGUMENT...

A moment is a name and a number n: the attempt ends by SIGKILL at the n-th time that it is
there. One line of JSON for each attempt says how it ended. Every attempt is a fork of this
process, which has imported the backend and computed nothing, and so costs no start.

| name | moment |
| --- | --- |
| claimed | a row is claimed, and nothing done for it yet |
| batch | a batch of an epoch is asked for |
| checkpoint half written | the first half of a checkpoint is in its new file |
| checkpoint complete | it is, but has not taken the place that the one before has left |
| history half written | a history that continues is opened for writing, and empty |
| history complete | it is written, but has not taken the place of the one before |
| attack | the trained classifier is about to be attacked |
| weights half written | the first half of the trained weights is in its file |
| table half written | the new table is opened for writing, and empty |
| table complete | it is written, but has not taken the place of the one before |
| checkpoints go | the table has its row, the row's checkpoints are about to be deleted |
| markdown | the table as Markdown is opened for writing, and empty |
"""

import importlib
import json
import os
import pathlib
import shutil
import signal
import sys

import keras

from applications.datasets import images
from applications.table1 import compiled_classifier
from applications.table1 import row_runner
from applications.training import epoch_seeds


class Moments:
    """Count how often this process was at each moment, and end it at the chosen one."""

    def __init__(self, name, number):
        self._name = name
        self._left = number

    def here(self, name, leave=lambda: None):
        """Be at a moment; `leave` does what an end there leaves behind."""
        self._left -= name == self._name
        if name == self._name and self._left == 0:
            leave()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, output):
        """Have the code under test pass by here."""
        self._before(row_runner, "make_runner", "claimed")
        self._before(epoch_seeds.ShuffledBatches, "__getitem__", "batch")
        self._before(compiled_classifier.CompiledClassifier, "attack", "attack")
        self._before(shutil, "rmtree", "checkpoints go")
        save = keras.Model.save_weights

        def save_weights(model, path, *arguments, **options):
            save(model, path, *arguments, **options)
            kind = "checkpoint" if "checkpoints" in pathlib.Path(path).parts else "weights"
            self.here(f"{kind} half written", lambda: os.truncate(path, os.stat(path).st_size // 2))

        keras.Model.save_weights = save_weights
        output = str(output)

        def audit(event, arguments):
            if event == "os.rename" and str(arguments[0]).startswith(output):
                path = pathlib.Path(arguments[1])
                kind = {"latest.weights.h5": "checkpoint"}.get(path.name, path.parent.name)
                self.here(f"{'table' if path.name.startswith('table') else kind} complete")
            elif event == "open" and str(arguments[0]).startswith(output) and arguments[1] == "w":
                path = pathlib.Path(arguments[0])
                name = {".tmp": "table half written", ".md": "markdown"}.get(path.suffix)
                name = "history half written" if path.parent.name == "history" else name
                self.here(name, lambda: path.write_bytes(b""))

        sys.addaudithook(audit)

    def _before(self, owner, attribute, name):
        original = getattr(owner, attribute)

        def watched(*arguments, **options):
            self.here(name)
            return original(*arguments, **options)

        setattr(owner, attribute, watched)


def attempt(main, arguments, moment, output):
    """Run the experiment in a fork; return the signal that ended it, or None."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            if moment is not None:
                Moments(*moment).watch(output)
            main(arguments)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status > 0:
        sys.exit(f"an attempt ended with exit code {status}, see above; moment: {moment}")
    return signal.Signals(-status).name if status else None


def main():
    """Run all attempts."""
    module, moments, *arguments = sys.argv[1:]
    sys.argv[1:] = arguments  # which a row tells
    experiment = importlib.import_module(module).main
    images.load("digits")  # its imports cost a second
    output = arguments[arguments.index("--output") + 1]
    for moment in [*json.loads(moments), None]:
        ended = attempt(experiment, arguments, moment, output)
        print(json.dumps({"moment": moment, "signal": ended}), flush=True)


if __name__ == "__main__":
    main()
