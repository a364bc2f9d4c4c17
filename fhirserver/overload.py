"""A bounded queue before the work: who would wait too long is told at once, with Retry-After. (fault F47)"""

import threading
import time
from contextlib import contextmanager

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from records import errors


class Sessions:
    """Database sessions of this process, lent to the request that works, last used first.

    Django keeps one for each thread; a request that waits holds a thread and needs none.
    """

    def __init__(self):
        self.idle = []

    @contextmanager
    def lent(self):
        """Inside the block this thread's connection is one of ours, unless it is in a transaction of its own."""
        own = {each.alias: each for each in connections.all(initialized_only=True)}.get(DEFAULT_DB_ALIAS)
        if own and own.in_atomic_block:
            yield
            return
        session = self.idle.pop() if self.idle else opened()
        connections[DEFAULT_DB_ALIAS] = session
        try:
            yield
        finally:
            session.close_if_unusable_or_obsolete()
            self.idle.append(session)
            if own:
                connections[DEFAULT_DB_ALIAS] = own
            else:
                del connections[DEFAULT_DB_ALIAS]


def opened():
    """A connection that any thread may use, one at a time; it connects with its first statement."""
    session = connections.create_connection(DEFAULT_DB_ALIAS)
    session.inc_thread_sharing()
    return session


class Gate:
    """At most `running` requests work in this process, at most `waiting` wait, none longer than `patience` s."""

    def __init__(self, running, waiting, patience):
        self.free = threading.BoundedSemaphore(running)
        self.waiting, self.patience = waiting, patience
        self.queued = 0
        self.guard = threading.Lock()
        self.sessions = Sessions()
        self.here = threading.local()

    def __enter__(self):
        """Wait for a place, then work with a database session."""
        self.wait()
        try:
            self.here.lease = self.sessions.lent()
            self.here.lease.__enter__()
        except BaseException:
            self.free.release()
            raise

    def __exit__(self, *exception):
        try:
            self.here.lease.__exit__(None, None, None)
        finally:
            self.free.release()

    def wait(self):
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


gate = Gate(settings.FHIRSERVER_WEB_THREADS, settings.FHIRSERVER_WAITING, settings.FHIRSERVER_PATIENCE_MS / 1000)
