"""A bounded queue before the work: who would wait too long is told at once, with Retry-After. (fault F47)"""

from queue import Empty, SimpleQueue

from django.conf import settings

from records import errors


class Gate:
    """At most `running` requests work in this process, at most `waiting` wait, none longer than `patience` s."""

    def __init__(self, running, waiting, patience):
        self.places = SimpleQueue()
        for _ in range(running):
            self.places.put(None)
        self.waiting, self.patience = waiting, patience
        self.queued = 0

    def __enter__(self):
        try:
            self.places.get_nowait()
            return
        except Empty:
            pass
        if self.queued >= self.waiting:
            raise errors.Busy("The server is at its limit.", retry_after=2)
        self.queued += 1  # may be off by one between threads: a bound, not an account
        try:
            self.places.get(timeout=self.patience)
        except Empty:
            raise errors.Busy("The server is at its limit.", retry_after=2) from None
        finally:
            self.queued -= 1

    def __exit__(self, *_):
        self.places.put(None)


gate = Gate(settings.FHIRSERVER_WEB_THREADS, settings.FHIRSERVER_WAITING, settings.FHIRSERVER_PATIENCE_MS / 1000)
