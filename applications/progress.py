"""Progress of several things at once, with an estimate of the time left."""

import functools
import time

_print = functools.partial(print, flush=True)


class Progress:
    """Count steps done, and print lines that say how much is left.

    The estimate takes it that steps go on at the mean speed since the start, as many
    at a time as up to now.

    Args:
        steps: Steps to do in all.
        seconds: Time between two lines of `step` at the least.
        clock: Returns the time in seconds.
        write: Takes a line.
    """

    def __init__(self, steps, seconds=10.0, clock=time.monotonic, write=_print):
        self._left = steps
        self._done = 0
        self._seconds = seconds
        self._clock = clock
        self._write = write
        self._start = clock()
        self._written = clock()

    def skip(self, steps):
        """Take out steps that need not be done."""
        self._left -= steps

    def step(self, text, quiet=False):
        """Count one step; print the text now and then, unless quiet."""
        self._left -= 1
        self._done += 1
        if not quiet and self._clock() - self._written >= self._seconds:
            self.say(text)

    def say(self, text):
        """Print a text and the time left."""
        self._written = self._clock()
        self._write(f"{text}{self._estimate()}")

    def _estimate(self):
        if self._left <= 0 or not self._done:
            return ""
        seconds = (self._clock() - self._start) / self._done * self._left
        return f", {duration(seconds)} left"


def duration(seconds):
    """Return a time in words, to two digits or so."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
