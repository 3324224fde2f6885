"""Claims, which decide which of several commands in one folder does a piece of work."""

import contextlib
import pathlib

import filelock


@contextlib.contextmanager
def claim(folder, wait=False):
    """Enter a context that only one process holds at a time, until it leaves or is killed.

    Args:
        folder: String or path. Folder of the claimed work, created if it is missing. The
            process that holds the claim may delete the folder once the work is done.
        wait: Boolean. Whether to wait for another process.

    Yields:
        Boolean. Whether this process holds the claim. If not, another process does.
    """
    lock = _acquire(pathlib.Path(folder) / "lock", wait)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


@contextlib.contextmanager
def writing(path):
    """Enter a context in which no other process changes a file that is replaced as a whole.

    Args:
        path: String or path. The file. The lock is a hidden file next to it.
    """
    path = pathlib.Path(path)
    lock = _acquire(path.with_name(f".{path.name}.lock"), wait=True)
    try:
        yield
    finally:
        lock.release()


def _acquire(path, wait):
    """Return the lock in a file, or None if another process has it and `wait` is False."""
    lock = filelock.FileLock(path)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=wait)
        except filelock.Timeout:
            return None
        except FileNotFoundError:  # the process that held the claim has just deleted the folder
            continue
        return lock
