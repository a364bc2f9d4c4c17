"""Until when the work of this thread may wait for the database: an answer in time, even when that is a 503. (F09)"""

import threading
import time
from contextlib import contextmanager


class Here(threading.local):
    until = None  # of time.monotonic()


_here = Here()


@contextmanager
def deadline(seconds):
    """Inside the block nothing waits longer for the database than until then; an outer deadline is set aside."""
    before, _here.until = _here.until, time.monotonic() + seconds
    try:
        yield
    finally:
        _here.until = before


def extend(seconds):
    """Put the deadline off: the work has turned out to be large."""
    if _here.until is not None:
        _here.until += seconds


def left(most=None):
    """Seconds until the deadline, at most `most`; without a deadline that is `most`."""
    if _here.until is None:
        return most
    found = max(0.0, _here.until - time.monotonic())
    return found if most is None else min(found, most)
