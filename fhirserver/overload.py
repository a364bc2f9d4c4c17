"""A bounded queue before the work: who would wait too long is told at once, with Retry-After. (fault F47)"""

import threading
import time

from django.conf import settings

from records import errors


class Gate:
    """At most `running` requests work in this process, at most `waiting` wait, none longer than `patience` s."""

    def __init__(self, running, waiting, patience):
        self.free = threading.BoundedSemaphore(running)
        self.waiting, self.patience = waiting, patience
        self.queued = 0
        self.guard = threading.Lock()

    def __enter__(self):
        if self.free.acquire(blocking=False):
            return
        with self.guard:
            if self.queued >= self.waiting:
                raise errors.Busy("The server is at its limit.", retry_after=2)
            self.queued += 1
        started = time.monotonic()
        got = self.free.acquire(timeout=self.patience)
        with self.guard:
            self.queued -= 1
        if not got:
            raise errors.Busy(f"The server is at its limit; waited {time.monotonic() - started:.1f} s.", retry_after=2)

    def __exit__(self, *_):
        self.free.release()


gate = Gate(settings.FHIRSERVER_WEB_THREADS, settings.FHIRSERVER_WAITING, settings.FHIRSERVER_PATIENCE_MS / 1000)
