"""A bounded queue before the work, and a bound for each client; who is over it is told at once. (faults F47, A91)"""

from math import ceil
from queue import Empty, SimpleQueue
from time import monotonic

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


class Allowance:
    """So many interactions a second for each client, a second's worth saved up; 0: any number."""

    def __init__(self, rate):
        self.rate = rate
        self.left = {}  # client -> (interactions left, since when)

    def take(self, client, interactions=1):
        """Count interactions of a client; TooManyRequests when it has none left."""
        if not self.rate:
            return
        now = monotonic()
        left, since = self.left.get(client, (self.rate, now))
        left = min(self.rate, left + (now - since) * self.rate)
        if left < 1:
            self.left[client] = left, now
            raise errors.TooManyRequests(ceil((1 - left) / self.rate))
        self.left[client] = left - interactions, now  # a large Bundle is taken, and paid for before the next request


allowance = Allowance(settings.FHIRSERVER_CLIENT_RATE)
gate = Gate(settings.FHIRSERVER_WEB_THREADS, settings.FHIRSERVER_WAITING, settings.FHIRSERVER_PATIENCE_MS / 1000)
