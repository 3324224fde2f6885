"""Claims: which of several commands at work in one folder does what."""

import contextlib
import pathlib

import filelock


@contextlib.contextmanager
def claim(folder, wait=False):
    """A context that one process at a time holds, until it leaves it or is killed.

    Args:
        folder: Folder of what is claimed, made if it is missing. Whoever holds the claim may
            delete it, once nobody needs to do the work anymore.
        wait: Whether to wait for another process.

    Yields:
        Whether this process holds the claim. If not, another one does.
    """
    lock = _acquire(pathlib.Path(folder) / "lock", wait)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


@contextlib.contextmanager
def writing(path):
    """A context in which no other process changes a file that is replaced as a whole.

    Args:
        path: The file. Beside it lies a hidden one, which is locked.
    """
    path = pathlib.Path(path)
    lock = _acquire(path.with_name(f".{path.name}.lock"), wait=True)
    try:
        yield
    finally:
        lock.release()


def _acquire(path, wait):
    """Return the lock in a file; None if another process has it, and `wait` is False."""
    lock = filelock.FileLock(path)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=wait)
        except filelock.Timeout:
            return None
        except FileNotFoundError:  # whoever had the claim has just deleted the folder
            continue
        return lock
