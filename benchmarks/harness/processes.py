"""New processes, for what must not share one: frameworks, cores, or the peak of memory."""

import concurrent.futures
import multiprocessing
import os
import threading


def new_process(start=None, *arguments):
    """Return a `ProcessPoolExecutor` of one new process, which first calls `start(*arguments)`.

    The process is not forked, because backends do not survive a fork. It imports the functions
    that it is given by the names of their modules, which must not be a package's `__main__`.
    """
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(1, context, _begin, (start, *arguments))


def in_new_process(function, *arguments):
    """Return the result of a function in a new process."""
    with new_process() as process:
        return process.submit(function, *arguments).result()


def _begin(start, *arguments):
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _end_with_parent():
    """End this process when its parent ends, even if the parent is killed."""
    multiprocessing.parent_process().join()
    os._exit(1)
